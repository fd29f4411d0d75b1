/* client/units.h -- durations, sizes, rates and instants as people type them.  The one decoder of
 * each. */
#ifndef CLIENT_UNITS_H
#define CLIENT_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "250ms", "5s", "2h", "30d"; units ns us ms s m h d; a plain number is refused, fractions too.
 * False, and @ret untouched, when it is not one or does not fit 64 bits of nanoseconds. */
bool client_parse_duration(const char *text, uint64_t *ret_ns);

/* "64KiB", "1GiB", "10MB", "512": bytes.  Units B, KB MB GB TB (powers of 1000), KiB MiB GiB TiB
 * (of 1024). */
bool client_parse_size(const char *text, uint64_t *ret_bytes);

/* "100Mbit", "1Gbit", "500kbit": bits a second. */
bool client_parse_rate(const char *text, uint64_t *ret_bps);

/* A decimal number without sign, 0 .. @max. */
bool client_parse_count(const char *text, uint64_t max, uint64_t *ret);

/* "12.3 MB", "1.50 GB": for people; @ret holds at least 24 bytes. */
void client_format_size(uint64_t bytes, char *ret, size_t ret_len);

/* "3.2 s", "4 min 10 s", "250 ms". */
void client_format_duration(uint64_t ns, char *ret, size_t ret_len);

#endif
