/* saga/json.h -- JSON from outside: bounded, then jansson's; and the two RFCs that sagas need of
 * it.
 *
 * The parser recurses once a level, on a task's small stack, so depth is checked before it starts.
 * Strings hold no NUL (refused), so text is NUL-terminated everywhere. */
#ifndef SAGA_JSON_H
#define SAGA_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "runtime/error.h"

#define SAGA_JSON_DEPTH_MAX 32u /* arrays and objects within one another */

/* Decode @text (@text_len bytes, no NUL needed) of at most @bytes_max bytes: any JSON value, no
 * member named twice.  *@ret is the caller's, json_decref().  @errmsg (may be NULL) gets a
 * sentence. Errors: URD_E_TOO_BIG text or depth; URD_E_INVALID not JSON; URD_E_NOMEM. */
URD_MUST_USE urd_err saga_json_decode(const char *text, size_t text_len, size_t bytes_max,
                                      json_t **ret, char *errmsg, size_t errmsg_len);

/* The canonical text of @value: no spaces, members in the order of their names.  For free().
 * NULL: out of memory. */
char *saga_json_canonical(const json_t *value);

/* Whether @pointer is a JSON pointer (RFC 6901 section 3). */
bool saga_json_pointer_valid(const char *pointer);

/* What @pointer, a valid one, names in @value (RFC 6901 section 4), borrowed; NULL: nothing there.
 */
json_t *saga_json_pointer_get(json_t *value, const char *pointer);

#endif
