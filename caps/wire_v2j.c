/* How JSON is read: by hand, for this one shape.  Strings are unescaped into a scratch buffer as
 * long as the text (no string grows by unescaping), and stay there until the token has copied them.
 */
#include "caps/wire_v2j.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/text.h"
#include "caps/token_internal.h"
#include "caps/writer_internal.h"

struct reader {
    const char *at;
    const char *end;
    uint8_t *scratch;
    size_t scratch_len;
};

/* The fields of one object, top level or caveat; by letter. */
struct fields {
    struct urd_caps_bytes bytes[256];
    bool seen[256];
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

/* Take one of the structural letters, with the white space before it. */
static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

/* -- strings -------------------------------------------------------------------------------------
 */

static bool take_hex4(struct reader *r, uint32_t *ret)
{
    uint32_t value = 0;
    if (r->end - r->at < 4) return false;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = *r->at;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)((c | 32) - 'a' + 10);
        else
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

static void put_utf8(struct reader *r, uint32_t c)
{
    uint8_t *to = r->scratch + r->scratch_len;
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        r->scratch_len += 1;
    } else if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        r->scratch_len += 2;
    } else if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        r->scratch_len += 3;
    } else {
        to[0] = (uint8_t)(0xf0 | c >> 18);
        to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[3] = (uint8_t)(0x80 | (c & 0x3f));
        r->scratch_len += 4;
    }
}

/* What follows \u: one unit, or a high and a low surrogate. */
static bool take_unicode(struct reader *r)
{
    uint32_t high, low;
    if (!take_hex4(r, &high)) return false;
    if (high >= 0xdc00 && high <= 0xdfff) return false;
    if (high < 0xd800 || high > 0xdbff) {
        put_utf8(r, high);
        return true;
    }
    if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') return false;
    r->at += 2;
    if (!take_hex4(r, &low) || low < 0xdc00 || low > 0xdfff) return false;
    put_utf8(r, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    return true;
}

static bool take_escape(struct reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) return false;
    char c = *r->at++;
    if (c == 'u') return take_unicode(r);
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found == NULL) return false;
    put_utf8(r, (uint8_t)to[found - from]);
    return true;
}

/* The length of the UTF-8 sequence at @s, 0 when it is malformed: overlong, a surrogate, too large.
 */
static size_t utf8_len(const uint8_t *s, size_t len)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || n > len || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return n;
}

static bool take_string(struct reader *r, struct urd_caps_bytes *ret)
{
    if (!take(r, '"')) return false;
    size_t start = r->scratch_len;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\') {
            r->at++;
            if (!take_escape(r)) return false;
            continue;
        }
        size_t n = utf8_len((const uint8_t *)r->at, (size_t)(r->end - r->at));
        if (n == 0 || (uint8_t)*r->at < 0x20) return false;
        memcpy(r->scratch + r->scratch_len, r->at, n);
        r->scratch_len += n;
        r->at += n;
    }
    if (r->at == r->end) return false;
    r->at++;
    *ret = (struct urd_caps_bytes){ r->scratch + start, r->scratch_len - start };
    return true;
}

static bool take_base64(struct reader *r, struct urd_caps_bytes *ret)
{
    struct urd_caps_bytes text;
    if (!take_string(r, &text)) return false;
    uint8_t *bytes = malloc(text.len / 4 * 3 + 3);
    size_t len = 0;
    if (bytes == NULL) return false;
    bool ok = urd_caps_base64_decode((const char *)text.data, text.len, bytes, &len) == URD_OK;
    if (ok) { /* shorter than its text, whose place it takes */
        uint8_t *place = r->scratch + r->scratch_len - text.len;
        memcpy(place, bytes, len);
        r->scratch_len -= text.len - len;
        *ret = (struct urd_caps_bytes){ place, len };
    }
    sodium_memzero(bytes, len);
    free(bytes);
    return ok;
}

/* -- objects -------------------------------------------------------------------------------------
 */

/* Take a key and its colon: its letter, and whether "64" follows it. */
static bool take_key(struct reader *r, uint8_t *letter, bool *is_base64)
{
    struct urd_caps_bytes key;
    if (!take_string(r, &key) || !take(r, ':')) return false;
    *is_base64 = key.len == 3 && key.data[1] == '6' && key.data[2] == '4';
    if (key.len != 1 && !*is_base64) return false;
    *letter = key.data[0];
    return true;
}

/* Read the value of a field that is one of @letters, once. */
static bool take_value(struct reader *r, const char *letters, uint8_t letter, bool is_base64,
                       struct fields *f)
{
    if (letter == 0 || strchr(letters, letter) == NULL || f->seen[letter]) return false;
    f->seen[letter] = true;
    return is_base64 ? take_base64(r, &f->bytes[letter]) : take_string(r, &f->bytes[letter]);
}

static urd_err take_caveat(struct reader *r, struct urd_caps_token *t)
{
    struct fields f = { 0 };
    uint8_t letter;
    bool is_base64;
    if (!take(r, '{')) return URD_E_INVALID;
    do {
        if (!take_key(r, &letter, &is_base64)) return URD_E_INVALID;
        if (!take_value(r, "ilv", letter, is_base64, &f)) return URD_E_INVALID;
    } while (take(r, ','));
    if (!take(r, '}')) return URD_E_INVALID;
    if (f.seen['v'] && f.bytes['v'].len != URD_CAPS_VID_BYTES) return URD_E_INVALID;
    struct urd_caps_caveat caveat = { f.bytes['i'], f.bytes['v'], f.bytes['l'] };
    return urd_caps_token_append(t, &caveat);
}

static urd_err take_caveats(struct reader *r, struct urd_caps_token *t)
{
    if (!take(r, '[')) return URD_E_INVALID;
    if (take(r, ']')) return URD_OK;
    do {
        urd_err err = take_caveat(r, t);
        if (err != URD_OK) return err;
    } while (take(r, ','));
    return take(r, ']') ? URD_OK : URD_E_INVALID;
}

/* 2, or "2" as the format's text has it. */
static urd_err take_version(struct reader *r)
{
    bool quoted = take(r, '"');
    if (!quoted) skip_space(r);
    if (r->at == r->end || *r->at < '0' || *r->at > '9') return URD_E_INVALID;
    if (*r->at != '2') return URD_E_VERSION;
    r->at++;
    if (quoted) return r->at < r->end && *r->at++ == '"' ? URD_OK : URD_E_INVALID;
    return URD_OK; /* a further digit is no comma and no brace, so it is refused there */
}

static urd_err take_member(struct reader *r, struct urd_caps_token *t, struct fields *f)
{
    uint8_t letter;
    bool is_base64;
    if (!take_key(r, &letter, &is_base64)) return URD_E_INVALID;
    if ((letter == 'v' || letter == 'c') && !is_base64) {
        if (f->seen[letter]) return URD_E_INVALID;
        f->seen[letter] = true;
        return letter == 'v' ? take_version(r) : take_caveats(r, t);
    }
    return take_value(r, "ils", letter, is_base64, f) ? URD_OK : URD_E_INVALID;
}

static urd_err take_token(struct reader *r, struct urd_caps_token *t)
{
    struct fields f = { 0 };
    if (!take(r, '{')) return URD_E_INVALID;
    do {
        urd_err err = take_member(r, t, &f);
        if (err != URD_OK) return err;
    } while (take(r, ','));
    if (!take(r, '}')) return URD_E_INVALID;
    skip_space(r);
    if (r->at != r->end || !f.seen['v'] || !f.seen['i']) return URD_E_INVALID;
    if (f.bytes['s'].len != URD_CAPS_SIGNATURE_BYTES) return URD_E_INVALID;
    memcpy(t->signature, f.bytes['s'].data, URD_CAPS_SIGNATURE_BYTES);
    return urd_caps_token_set_head(t, f.bytes['l'], f.bytes['i']);
}

urd_err urd_caps_v2j_decode(const char *text, size_t text_len, struct urd_caps_token **ret)
{
    if (text_len > URD_CAPS_TOKEN_BYTES_MAX) return URD_E_TOO_BIG;
    struct urd_caps_token *t;
    urd_err err = urd_caps_token_new(text_len, &t);
    if (err != URD_OK) return err;
    struct reader r = { text, text + text_len, malloc(text_len + 1), 0 };
    if (r.scratch == NULL) {
        urd_caps_token_free(t);
        return URD_E_NOMEM;
    }
    err = take_token(&r, t);
    sodium_memzero(r.scratch, text_len + 1);
    free(r.scratch);
    if (err != URD_OK) {
        urd_caps_token_free(t);
        return err;
    }
    *ret = t;
    return URD_OK;
}

/* -- writing -------------------------------------------------------------------------------------
 */

static bool needs_no_escape(struct urd_caps_bytes bytes)
{
    for (size_t i = 0; i < bytes.len;) {
        uint8_t c = bytes.data[i];
        size_t n = utf8_len(bytes.data + i, bytes.len - i);
        if (n == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') return false;
        i += n;
    }
    return true;
}

static void write_text(struct urd_caps_writer *w, const char *text)
{
    urd_caps_write(w, text, strlen(text));
}

static void write_base64(struct urd_caps_writer *w, struct urd_caps_bytes bytes)
{
    size_t size = URD_CAPS_BASE64_SIZE(bytes.len);
    if (w->full || size > w->size - w->len) {
        w->full = true;
        return;
    }
    urd_caps_base64_encode(bytes.data, bytes.len, (char *)w->bytes + w->len);
    w->len += strlen((const char *)w->bytes + w->len);
}

static void write_field(struct urd_caps_writer *w, const char *letter, struct urd_caps_bytes bytes,
                        bool plain)
{
    write_text(w, "\"");
    write_text(w, letter);
    write_text(w, plain ? "\":\"" : "64\":\"");
    if (plain)
        urd_caps_write(w, bytes.data, bytes.len);
    else
        write_base64(w, bytes);
    write_text(w, "\"");
}

static void write_caveat(struct urd_caps_writer *w, const struct urd_caps_caveat *caveat)
{
    write_text(w, "{");
    write_field(w, "i", caveat->id, needs_no_escape(caveat->id));
    if (caveat->location.len > 0) {
        write_text(w, ",");
        write_field(w, "l", caveat->location, needs_no_escape(caveat->location));
    }
    if (caveat->vid.len > 0) {
        write_text(w, ",");
        write_field(w, "v", caveat->vid, false);
    }
    write_text(w, "}");
}

static void write_token(struct urd_caps_writer *w, const struct urd_caps_token *token)
{
    struct urd_caps_bytes location = urd_caps_token_location(token);
    struct urd_caps_bytes identifier = urd_caps_token_identifier(token);
    write_text(w, "{\"v\":2,");
    if (location.len > 0) {
        write_field(w, "l", location, needs_no_escape(location));
        write_text(w, ",");
    }
    write_field(w, "i", identifier, needs_no_escape(identifier));
    write_text(w, ",\"c\":[");
    for (size_t i = 0; i < token->caveat_count; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(token, i);
        if (i > 0) write_text(w, ",");
        write_caveat(w, &caveat);
    }
    write_text(w, "],");
    write_field(w, "s", (struct urd_caps_bytes){ token->signature, URD_CAPS_SIGNATURE_BYTES },
                false);
    write_text(w, "}");
}

urd_err urd_caps_v2j_encode(const struct urd_caps_token *token, char **ret_text)
{
    struct urd_caps_writer w = { .bytes = malloc(URD_CAPS_TOKEN_BYTES_MAX + 1),
                                 .size = URD_CAPS_TOKEN_BYTES_MAX };
    if (w.bytes == NULL) return URD_E_NOMEM;
    write_token(&w, token);
    if (w.full) {
        sodium_memzero(w.bytes, w.size);
        free(w.bytes);
        return URD_E_TOO_BIG;
    }
    w.bytes[w.len] = '\0';
    *ret_text = (char *)w.bytes;
    return URD_OK;
}
