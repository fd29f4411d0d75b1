/* How a pattern is matched:
 *
 * Twice the same idea, over segments and within one: walk both sides; at a star remember where it
 * stood and let it stand for nothing; on a mismatch go back to the *last* star and let it take one
 * unit more. Only the last star is ever retried, since what came before it matched as early as it
 * could, so each pair of (pattern unit, name unit) is compared at most once per star block:
 * O(pattern x name).
 *
 * A unit is one plain byte or one whole %XX, so that a star never splits an escape. */
#include "caps/glob.h"

#include <string.h>

struct segment {
    const char *at;
    size_t len;
};

static char separator(enum urd_caps_glob_kind kind)
{
    return kind == URD_CAPS_GLOB_ACTION ? '.' : '/';
}

static size_t length_max(enum urd_caps_glob_kind kind)
{
    return kind == URD_CAPS_GLOB_ACTION ? URD_CAPS_ACTION_BYTES_MAX : URD_CAPS_RESOURCE_BYTES_MAX;
}

/* A byte that stands for itself in a resource. */
static bool plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static int upper_hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The segment that begins at @at; *@next is where the following one begins, or NULL. */
static struct segment segment_at(const char *at, const char *end, char sep, const char **next)
{
    const char *stop = memchr(at, sep, (size_t)(end - at));
    *next = stop == NULL ? NULL : stop + 1;
    return (struct segment){ at, (size_t)((stop == NULL ? end : stop) - at) };
}

static bool is_double_star(struct segment s)
{
    return s.len == 2 && s.at[0] == '*' && s.at[1] == '*';
}

/* How many bytes the unit at @at takes, 0 when it is not well-formed. */
static size_t unit_ok(enum urd_caps_glob_kind kind, const char *at, size_t len, bool pattern)
{
    if (plain((uint8_t)*at)) return 1;
    if (*at == '*') return pattern ? 1 : 0;
    if (kind == URD_CAPS_GLOB_ACTION || *at != '%' || len < 3) return 0;
    int high = upper_hex(at[1]), low = upper_hex(at[2]);
    if (high < 0 || low < 0 || plain((uint8_t)(high << 4 | low))) return 0;
    return 3;
}

static bool segment_ok(enum urd_caps_glob_kind kind, struct segment s, bool pattern)
{
    if (s.len == 0) return false;
    if (s.len == 1 && s.at[0] == '.') return false;
    if (s.len == 2 && s.at[0] == '.' && s.at[1] == '.') return false;
    if (pattern && is_double_star(s)) return true;
    for (size_t i = 0; i < s.len;) {
        if (s.at[i] == '*' && i > 0 && s.at[i - 1] == '*') return false; /* `**` stands alone */
        size_t unit = unit_ok(kind, s.at + i, s.len - i, pattern);
        if (unit == 0) return false;
        i += unit;
    }
    return true;
}

static bool text_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len, bool pattern)
{
    if (text_len == 0 || text_len > length_max(kind)) return false;
    unsigned double_stars = 0;
    for (const char *next = text; next != NULL;) {
        struct segment s = segment_at(next, text + text_len, separator(kind), &next);
        if (!segment_ok(kind, s, pattern)) return false;
        if (is_double_star(s)) double_stars++;
    }
    return double_stars <= URD_CAPS_GLOB_STARS_MAX;
}

bool urd_caps_name_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len)
{
    return text_ok(kind, text, text_len, false);
}

bool urd_caps_glob_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len)
{
    return text_ok(kind, text, text_len, true);
}

bool urd_caps_glob_list_ok(enum urd_caps_glob_kind kind, const char *text, size_t text_len)
{
    unsigned count = 0;
    for (const char *next = text; next != NULL;) {
        struct segment one = segment_at(next, text + text_len, ',', &next);
        if (++count > URD_CAPS_GLOBS_MAX) return false;
        if (!urd_caps_glob_ok(kind, one.at, one.len)) return false;
    }
    return true;
}

static size_t unit_len(const char *at)
{
    return *at == '%' ? 3 : 1;
}

static bool segment_match(struct segment pattern, struct segment name)
{
    size_t p = 0, n = 0, star_p = SIZE_MAX, star_n = 0;
    while (n < name.len) {
        size_t unit = unit_len(name.at + n);
        if (p < pattern.len && pattern.at[p] == '*') {
            star_p = p++;
            star_n = n;
        } else if (p < pattern.len && unit_len(pattern.at + p) == unit &&
                   memcmp(pattern.at + p, name.at + n, unit) == 0) {
            p += unit;
            n += unit;
        } else if (star_p != SIZE_MAX) {
            star_n += unit_len(name.at + star_n);
            n = star_n;
            p = star_p + 1;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*')
        p++;
    return p == pattern.len;
}

bool urd_caps_glob_match(enum urd_caps_glob_kind kind, const char *pattern, size_t pattern_len,
                         const char *name, size_t name_len)
{
    const char *pattern_end = pattern + pattern_len, *name_end = name + name_len;
    const char *p = pattern, *n = name, *after_star = NULL, *star_n = NULL;
    bool starred = false;
    while (n != NULL) {
        const char *next_p = NULL, *next_n;
        struct segment sn = segment_at(n, name_end, separator(kind), &next_n), sp = { NULL, 0 };
        if (p != NULL) sp = segment_at(p, pattern_end, separator(kind), &next_p);
        if (p != NULL && is_double_star(sp)) {
            starred = true;
            p = after_star = next_p;
            star_n = n;
        } else if (p != NULL && segment_match(sp, sn)) {
            p = next_p;
            n = next_n;
        } else if (starred) {
            (void)segment_at(star_n, name_end, separator(kind), &star_n);
            n = star_n;
            p = after_star;
        } else {
            return false;
        }
    }
    while (p != NULL) { /* what is left of the pattern must be able to stand for nothing */
        const char *next_p;
        if (!is_double_star(segment_at(p, pattern_end, separator(kind), &next_p))) return false;
        p = next_p;
    }
    return true;
}

bool urd_caps_glob_list_match(enum urd_caps_glob_kind kind, const char *list, size_t list_len,
                              const char *name, size_t name_len)
{
    for (const char *next = list; next != NULL;) {
        struct segment one = segment_at(next, list + list_len, ',', &next);
        if (urd_caps_glob_match(kind, one.at, one.len, name, name_len)) return true;
    }
    return false;
}

urd_err urd_caps_resource_append(char *text, size_t text_size, const uint8_t *raw, size_t raw_len)
{
    static const char hex[] = "0123456789ABCDEF";
    if (raw_len == 0) return URD_E_INVALID;
    if (raw[0] == '.' && (raw_len == 1 || (raw_len == 2 && raw[1] == '.'))) return URD_E_INVALID;

    size_t at = strnlen(text, text_size), needed = at + (at > 0);
    for (size_t i = 0; i < raw_len && needed <= URD_CAPS_RESOURCE_BYTES_MAX; i++)
        needed += plain(raw[i]) ? 1 : 3;
    if (needed > URD_CAPS_RESOURCE_BYTES_MAX || needed >= text_size) return URD_E_TOO_BIG;

    if (at > 0) text[at++] = '/';
    for (size_t i = 0; i < raw_len; i++) {
        if (plain(raw[i])) {
            text[at++] = (char)raw[i];
        } else {
            text[at++] = '%';
            text[at++] = hex[raw[i] >> 4];
            text[at++] = hex[raw[i] & 15];
        }
    }
    text[at] = '\0';
    return URD_OK;
}
