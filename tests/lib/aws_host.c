/* SPDX-License-Identifier: Apache-2.0
 *
 * `aws_host` reads lines of SERVICE REGION FIPS DUAL_STACK (numbers, but for the region) and
 * answers each with a partition and a host, or "-". For tests/aws/test_endpoints.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control/aws/endpoint.h"

int main(void)
{
	unsigned service, fips, dual_stack;
	char region[64], host[ENDPOINT_HOST];

	while (scanf("%u %63s %u %u", &service, region, &fips, &dual_stack) == 4) {
		bool known = service < AWS_SERVICES &&
			     !endpoint_host(service, region, fips, dual_stack, host);

		printf("%s %s\n", endpoint_partition(region), known ? host : "-");
	}
	return feof(stdin) ? EXIT_SUCCESS : EXIT_FAILURE;
}
