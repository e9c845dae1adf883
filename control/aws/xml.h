/* SPDX-License-Identifier: Apache-2.0
 *
 * A document of the Query protocols as a JSON tree; control/aws/aws.h says how it maps.
 *
 * Happy path: one root element, which becomes a string, an array or an object.
 * Failure modes: a DTD (and so every entity of its own), more than XML_DEPTH levels or XML_NODES
 * elements, text beside elements, one name twice in an object with different contents, an end that
 * comes too early or too late: none of it can be believed.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define XML_DEPTH 40
#define XML_NODES 1000000
#define XML_NAME  128

/* `ret_name` (XML_NAME bytes) is the name of the root element. 0, -ENOMEM or -EPROTO. */
int xml_read(const char *text, size_t size, char *ret_name, json_t **ret_root);
