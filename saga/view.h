/* saga/view.h -- what saga objects have in common when they are shown as JSON. */
#ifndef SAGA_VIEW_H
#define SAGA_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* Each sets @member of the object @to.  Out of memory, the member is missing: a view is for
 * looking.
 */
void saga_view_text(json_t *to, const char *member, const char *text);
void saga_view_int(json_t *to, const char *member, int64_t value);
void saga_view_bool(json_t *to, const char *member, bool value);
/* @text is JSON; NULL, or text that is not: null. */
void saga_view_json(json_t *to, const char *member, const char *text);
/* @at_ns, wall clock, as "2026-01-31T23:59:59.123Z". */
void saga_view_time(json_t *to, const char *member, int64_t at_ns);

#endif
