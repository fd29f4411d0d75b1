/* caps/time_text.h -- instants and durations as caveats write them.
 *
 * An instant is exactly `YYYY-MM-DDThh:mm:ssZ`, year 1970 .. 9999, no leap second; computed in the
 * proleptic Gregorian calendar, without the C library's notion of time zones.
 * A duration is a number without sign or leading zero and one unit of ms, s, m, h, d: `250ms`,
 * `2h`. */
#ifndef CAPS_TIME_TEXT_H
#define CAPS_TIME_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_CAPS_TIME_S_MAX          INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define URD_CAPS_TIME_TEXT_LEN       20
#define URD_CAPS_DURATION_NS_MAX     (UINT64_C(30) * 86400 * 1000000000)
#define URD_CAPS_DURATION_TEXT_BYTES 24

/* Read an instant: unix seconds.  Errors: URD_E_INVALID. */
URD_MUST_USE urd_err urd_caps_time_parse(const char *text, size_t text_len, int64_t *ret_unix_s);

/* Write an instant, NUL-terminated.  Errors: URD_E_INVALID outside 0 .. URD_CAPS_TIME_S_MAX. */
URD_MUST_USE urd_err urd_caps_time_format(int64_t unix_s, char ret[URD_CAPS_TIME_TEXT_LEN + 1]);

/* Read a duration of 1 ms .. 30 d, in nanoseconds.
 * Errors: URD_E_INVALID malformed or zero; URD_E_TOO_BIG over URD_CAPS_DURATION_NS_MAX. */
URD_MUST_USE urd_err urd_caps_duration_parse(const char *text, size_t text_len, uint64_t *ret_ns);

/* Write a duration in its largest unit that loses nothing, NUL-terminated.
 * Errors: URD_E_INVALID zero, over 30 d, or not whole milliseconds. */
URD_MUST_USE urd_err urd_caps_duration_format(uint64_t duration_ns,
                                              char ret[URD_CAPS_DURATION_TEXT_BYTES]);

#endif
