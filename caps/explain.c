#include "caps/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/time_text.h"
#include "caps/token_internal.h"

#define WORDS_SIZE (URD_CAPS_PREDICATE_BYTES_MAX + 128)

/* What stays the same from line to line. */
struct telling {
    urd_caps_explain_fn tell;
    void *arg;
    bool ours; /* the identifier is one of Urd's */
    struct urd_caps_identifier identifier;
    char *words;
};

/* @bytes with all that is not visible ASCII or a space as \xNN; owned by the caller. */
static char *shown(struct urd_caps_bytes bytes)
{
    static const char hex[] = "0123456789abcdef";
    char *text = malloc(4 * bytes.len + 1), *to = text;
    if (text == NULL) return NULL;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];
        if (c >= 0x20 && c < 0x7f) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = '\0';
    return text;
}

static void say_duration(uint64_t duration_ns, char text[URD_CAPS_DURATION_TEXT_BYTES])
{
    if (urd_caps_duration_format(duration_ns, text) != URD_OK) text[0] = '\0';
}

/* A caveat of Urd's as a sentence. */
static void put_words(const struct urd_caps_predicate *p, char *words, size_t size)
{
    char window[URD_CAPS_DURATION_TEXT_BYTES] = "";
    int name_len = (int)p->name.len, value_len = (int)p->value.len;
    const char *name = (const char *)p->name.data, *value = (const char *)p->value.data;
    unsigned long long count = p->count;
    if (p->kind == URD_CAPS_RATE || p->kind == URD_CAPS_FRESH) say_duration(p->duration_ns, window);
    switch (p->kind) {
    case URD_CAPS_TIME_BEFORE:
        urd_caps_say(words, size, "until %.*s", value_len, value);
        break;
    case URD_CAPS_TIME_FROM:
        urd_caps_say(words, size, "from %.*s on", value_len, value);
        break;
    case URD_CAPS_REGION:
        urd_caps_say(words, size, "only from or for the saga %.*s", value_len, value);
        break;
    case URD_CAPS_TASK:
        urd_caps_say(words, size, "only from or for the step %.*s", value_len, value);
        break;
    case URD_CAPS_USES:
        urd_caps_say(words, size, "at most %llu uses, over the whole cluster", count);
        break;
    case URD_CAPS_RATE:
        urd_caps_say(words, size, "at most %llu uses in any %s, over the whole cluster", count,
                     window);
        break;
    case URD_CAPS_ACTION:
        urd_caps_say(words, size, "only actions that match one of %.*s", value_len, value);
        break;
    case URD_CAPS_RESOURCE:
        urd_caps_say(words, size, "only resources that match one of %.*s", value_len, value);
        break;
    case URD_CAPS_LINK:
        urd_caps_say(words, size, "a delegation: this branch can be revoked by its handle");
        break;
    case URD_CAPS_FRESH:
        urd_caps_say(words, size, "only where the minting node was heard within %s", window);
        break;
    default:
        urd_caps_say(words, size, "only when the request has %.*s = %.*s", name_len, name,
                     value_len, value);
        break;
    }
}

static urd_err tell_caveat(struct telling *t, const struct urd_caps_caveat *caveat)
{
    struct urd_caps_predicate p;
    char handle[URD_CAPS_HANDLE_TEXT_BYTES] = "";
    char *text = shown(caveat->id);
    if (text == NULL) return URD_E_NOMEM;
    struct urd_caps_explanation e = { URD_CAPS_UNKNOWN, text, t->words, handle };

    if (caveat->vid.len > 0) {
        char *location = shown(caveat->location);
        if (location == NULL) {
            free(text);
            return URD_E_NOMEM;
        }
        e.kind = URD_CAPS_THIRD_PARTY;
        urd_caps_say(t->words, WORDS_SIZE, "only with a discharge from %s",
                     location[0] == '\0' ? "a third party" : location);
        free(location);
    } else if (urd_caps_predicate_parse(caveat->id, &p, NULL, 0) != URD_OK) {
        urd_caps_say(t->words, WORDS_SIZE, "not understood: every request is refused");
    } else {
        e.kind = p.kind;
        put_words(&p, t->words, WORDS_SIZE);
        if (p.kind == URD_CAPS_LINK && t->ours)
            urd_caps_handle_format(t->identifier.token_id, p.link, handle);
    }
    t->tell(t->arg, &e);
    free(text);
    return URD_OK;
}

static urd_err tell_identifier(struct telling *t, struct urd_caps_bytes bytes)
{
    char handle[URD_CAPS_HANDLE_TEXT_BYTES] = "", issued[URD_CAPS_TIME_TEXT_LEN + 1] = "";
    char *text = shown(bytes);
    if (text == NULL) return URD_E_NOMEM;
    t->ours = urd_caps_identifier_decode(bytes.data, bytes.len, &t->identifier) == URD_OK;
    if (t->ours) {
        char key[2 * URD_CAPS_ROOT_KEY_ID_BYTES + 1];
        urd_err err = urd_caps_time_format(t->identifier.issued_at_s, issued);
        sodium_bin2hex(key, sizeof key, t->identifier.root_key_id, URD_CAPS_ROOT_KEY_ID_BYTES);
        urd_caps_handle_format(t->identifier.token_id, NULL, handle);
        urd_caps_say(t->words, WORDS_SIZE, "minted by node %s at %s with root key %s",
                     t->identifier.node, err == URD_OK ? issued : "an unknown time", key);
    } else {
        urd_caps_say(t->words, WORDS_SIZE, "not minted by Urd");
    }
    struct urd_caps_explanation e = { URD_CAPS_IDENTIFIER, text, t->words, handle };
    t->tell(t->arg, &e);
    free(text);
    return URD_OK;
}

urd_err urd_caps_explain(const struct urd_caps_token *token, urd_caps_explain_fn tell, void *arg)
{
    struct telling t = { .tell = tell, .arg = arg, .words = malloc(WORDS_SIZE) };
    if (t.words == NULL) return URD_E_NOMEM;
    urd_err err = tell_identifier(&t, urd_caps_token_identifier(token));
    for (size_t i = 0; i < urd_caps_token_caveat_count(token) && err == URD_OK; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(token, i);
        err = tell_caveat(&t, &caveat);
    }
    free(t.words);
    return err;
}
