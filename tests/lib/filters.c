/* SPDX-License-Identifier: Apache-2.0
 *
 * A program on a kernel that seems to be older than 6.6: links of tcx, which is what bpf(2) is
 * called for without libbpf, come here through the linker's --wrap, in build/filters/sluice and
 * tests/unit/xdp_clsact_test.c alone, and are refused as such a kernel refuses them. What is left
 * are filters of clsact.
 */
#include <linux/bpf.h>

#include <errno.h>
#include <sys/syscall.h>

/* include/uapi/linux/bpf.h of 6.6 */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	const union bpf_attr *attr = (const void *)b;

	if (number == SYS_bpf && a == BPF_LINK_CREATE &&
	    (attr->link_create.attach_type == TCX_INGRESS ||
	     attr->link_create.attach_type == TCX_EGRESS)) {
		errno = EINVAL;
		return -1;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}
