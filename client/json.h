/* client/json.h -- JSON that came from elsewhere, read on a task's stack. */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <jansson.h>

#define CLIENT_JSON_DEPTH_MAX 128u /* brackets within brackets: the parser goes down the stack */

/* Read any JSON value; NULL: it is none, nested too deeply, has a key twice, or memory is out.  For
 * json_decref(). */
json_t *client_json_read(const char *text, size_t text_len);

/* Member @name of @object as text; "" when it has none. */
const char *client_json_text(const json_t *object, const char *name);

#endif
