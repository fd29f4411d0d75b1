/* saga/resource.h -- what a step touches, as capabilities name it. */
#ifndef SAGA_RESOURCE_H
#define SAGA_RESOURCE_H

#include "saga/document.h"

/* Longest: every byte of a URL escaped, and what stands before it. */
#define SAGA_RESOURCE_BYTES_MAX (3 * SAGA_URL_BYTES_MAX + 16)

/* `do/ACTION` of a worker's action; `http/HOST/PATH...` of a URL (host in lower case with its port
 * when one is given, the path's parts up to '?' or '#').  NUL-terminated in @ret.
 * Errors: URD_E_INVALID a URL with an empty, '.' or '..' part or a user name. */
URD_MUST_USE urd_err saga_resource_of_action(const char *action, char ret[SAGA_RESOURCE_BYTES_MAX]);

/* `queue/NAME`, `quantity/NAME`, `lease/NAME`. */
void saga_resource_of_thing(const char *space, const char *thing,
                            char ret[SAGA_RESOURCE_BYTES_MAX]);

#endif
