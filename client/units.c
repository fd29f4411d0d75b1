#include "client/units.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    { "ns", 1 },
    { "us", 1000 },
    { "ms", 1000 * 1000 },
    { "s", UINT64_C(1000000000) },
    { "m", UINT64_C(60) * 1000000000 },
    { "h", UINT64_C(3600) * 1000000000 },
    { "d", UINT64_C(86400) * 1000000000 },
    { NULL, 0 },
};
static const struct unit sizes[] = {
    { "", 1 },
    { "B", 1 },
    { "KB", 1000 },
    { "MB", 1000 * 1000 },
    { "GB", 1000 * 1000 * 1000 },
    { "TB", UINT64_C(1000000000000) },
    { "KiB", 1u << 10 },
    { "MiB", 1u << 20 },
    { "GiB", 1u << 30 },
    { "TiB", UINT64_C(1) << 40 },
    { NULL, 0 },
};
static const struct unit rates[] = {
    { "bit", 1 }, { "kbit", 1000 }, { "Mbit", 1000 * 1000 }, { "Gbit", 1000 * 1000 * 1000 },
    { NULL, 0 },
};

/* Digits at the front of @text into @ret; the rest of @text, or NULL when there are none or too
 * many. */
static const char *take_number(const char *text, uint64_t *ret)
{
    const char *p = text;
    uint64_t value = 0;
    for (; isdigit((unsigned char)*p); p++) {
        if (__builtin_mul_overflow(value, 10, &value)) return NULL;
        if (__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) return NULL;
    }
    if (p == text) return NULL;
    *ret = value;
    return p;
}

static bool parse_with(const struct unit *units, const char *text, uint64_t *ret)
{
    uint64_t number;
    const char *rest = take_number(text, &number);
    if (rest == NULL) return false;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(rest, u->name) != 0) continue;
        uint64_t value;
        if (__builtin_mul_overflow(number, u->factor, &value)) return false;
        *ret = value;
        return true;
    }
    return false;
}

bool client_parse_duration(const char *text, uint64_t *ret_ns)
{
    return parse_with(durations, text, ret_ns);
}

bool client_parse_size(const char *text, uint64_t *ret_bytes)
{
    return parse_with(sizes, text, ret_bytes);
}

bool client_parse_rate(const char *text, uint64_t *ret_bps)
{
    return parse_with(rates, text, ret_bps);
}

bool client_parse_count(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value;
    const char *rest = take_number(text, &value);
    if (rest == NULL || *rest != '\0' || value > max) return false;
    *ret = value;
    return true;
}

void client_format_size(uint64_t bytes, char *ret, size_t ret_len)
{
    static const char *const names[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    unsigned i = 0;
    for (; value >= 1000 && i < sizeof names / sizeof names[0] - 1; i++)
        value /= 1000;
    (void)snprintf(ret, ret_len, i == 0 ? "%.0f %s" : "%.2f %s", value, names[i]);
}

void client_format_duration(uint64_t ns, char *ret, size_t ret_len)
{
    uint64_t s = ns / 1000000000;
    if (ns < 1000000000)
        (void)snprintf(ret, ret_len, "%llu ms", (unsigned long long)(ns / 1000000));
    else if (s < 60)
        (void)snprintf(ret, ret_len, "%.1f s", (double)ns / 1e9);
    else if (s < 3600)
        (void)snprintf(ret, ret_len, "%llu min %llu s", (unsigned long long)(s / 60),
                       (unsigned long long)(s % 60));
    else
        (void)snprintf(ret, ret_len, "%llu h %llu min", (unsigned long long)(s / 3600),
                       (unsigned long long)(s / 60 % 60));
}
