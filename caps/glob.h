/* caps/glob.h -- names of actions and resources, and the patterns that admit them.
 *
 * An action is segments of A-Z a-z 0-9 _ - with `.` between: `saga.submit`.
 * A resource is segments with `/` between: `file/b/in/a%20b.bin`.  It is *canonical*: no segment is
 * empty, `.` or `..`; A-Z a-z 0-9 . _ - stand for themselves and every other byte is `%XX`,
 * upper-case; so one thing has one name, and comparing bytes is comparing things.
 *
 * In a pattern `*` is anything within one segment, and `**`, alone in a segment, is zero or more
 * whole segments, at most four times.  Matching takes O(pattern x subject) steps and no memory. */
#ifndef CAPS_GLOB_H
#define CAPS_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_CAPS_ACTION_BYTES_MAX   255
#define URD_CAPS_RESOURCE_BYTES_MAX 2048
#define URD_CAPS_GLOB_STARS_MAX     4  /* `**` in one pattern */
#define URD_CAPS_GLOBS_MAX          64 /* patterns in one list */

enum urd_caps_glob_kind {
    URD_CAPS_GLOB_ACTION,  /* '.' between segments */
    URD_CAPS_GLOB_RESOURCE /* '/' between segments */
};

/* Is @text the name of one action, or one resource in canonical form? */
bool urd_caps_name_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len);

/* Is @text a well-formed pattern?  A list of them, a comma between each two? */
bool urd_caps_glob_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len);
bool urd_caps_glob_list_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len);

/* Does the well-formed @pattern admit the well-formed @name?  Does one of a list? */
bool urd_caps_glob_match(enum urd_caps_glob_kind kind, const char *pattern, size_t pattern_len,
                         const char *name, size_t name_len);
bool urd_caps_glob_list_match(enum urd_caps_glob_kind kind, const char *list, size_t list_len,
                              const char *name, size_t name_len);

/* Append the segment @raw (any bytes) to the resource in @text in canonical form, after a `/`
 * unless
 * @text is empty.
 *
 * @text      NUL-terminated before and after; @text_size bytes of room.
 * Errors, with nothing changed: URD_E_INVALID @raw is empty, `.` or `..`; URD_E_TOO_BIG no room, or
 * the resource would pass URD_CAPS_RESOURCE_BYTES_MAX. */
URD_MUST_USE urd_err urd_caps_resource_append(char *text, size_t text_size, const uint8_t *raw,
                                              size_t raw_len);

#endif
