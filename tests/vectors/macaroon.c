/* vectors_macaroon FILE: run every case of a file of macaroon vectors.
 *
 * A `verify` case gives one root token and its discharges in several serialisations; each is read,
 * written back (which must give the same bytes), compared with the fields the file spells out, and
 * verified with exact-match predicates.  Where the case says how it was built, it is built again
 * and must come out the same.  A `parse` case gives bytes that must be refused, or read and
 * verified. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/chain.h"
#include "caps/key.h"
#include "caps/text.h"
#include "caps/token.h"
#include "caps/wire_v1.h"
#include "caps/wire_v2.h"
#include "caps/wire_v2j.h"

/* -- small things --------------------------------------------------------------------------------
 */

struct octets {
    uint8_t *data;
    size_t len;
};

static void *must(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

static struct octets copy_of(const void *data, size_t len)
{
    struct octets o = { must(malloc(len + 1)), len };
    memcpy(o.data, data, len);
    o.data[len] = '\0';
    return o;
}

/* Hex from the file; a missing field is empty. */
static struct octets from_hex(const json_t *object, const char *name)
{
    const char *hex = json_string_value(json_object_get(object, name));
    size_t hex_len = hex == NULL ? 0 : strlen(hex);
    struct octets o = { must(malloc(hex_len / 2 + 1)), 0 };
    if (hex_len > 0 &&
        (sodium_hex2bin(o.data, hex_len / 2, hex, hex_len, NULL, &o.len, NULL) != 0 ||
         o.len * 2 != hex_len)) {
        (void)fprintf(stderr, "vectors_macaroon: %s is not hex\n", name);
        exit(2);
    }
    return o;
}

static struct urd_caps_bytes view(struct octets o)
{
    return (struct urd_caps_bytes){ o.data, o.len };
}

static bool same(struct urd_caps_bytes a, struct octets b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct complaint {
    char text[256];
};

static bool complain(struct complaint *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool complain(struct complaint *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, sizeof c->text, format, args);
    va_end(args);
    return false;
}

/* -- the serialisations --------------------------------------------------------------------------
 */

static urd_err read_v1(struct octets in, struct urd_caps_token **ret)
{
    return urd_caps_v1_decode(in.data, in.len, ret);
}

static urd_err read_v2(struct octets in, struct urd_caps_token **ret)
{
    return urd_caps_v2_decode(in.data, in.len, ret);
}

static urd_err read_v2j(struct octets in, struct urd_caps_token **ret)
{
    return urd_caps_v2j_decode((const char *)in.data, in.len, ret);
}

static urd_err read_text(struct octets in, struct urd_caps_token **ret)
{
    return urd_caps_token_from_text((const char *)in.data, in.len, ret);
}

static urd_err write_v1(const struct urd_caps_token *t, struct octets *ret)
{
    return urd_caps_v1_encode(t, &ret->data, &ret->len);
}

static urd_err write_v2(const struct urd_caps_token *t, struct octets *ret)
{
    return urd_caps_v2_encode(t, &ret->data, &ret->len);
}

static urd_err write_v2j(const struct urd_caps_token *t, struct octets *ret)
{
    char *text;
    urd_err err = urd_caps_v2j_encode(t, &text);
    if (err == URD_OK) *ret = (struct octets){ (uint8_t *)text, strlen(text) };
    return err;
}

static urd_err write_v1_text(const struct urd_caps_token *t, struct octets *ret)
{
    struct octets packets;
    urd_err err = write_v1(t, &packets);
    if (err != URD_OK) return err;
    char *text = must(malloc(URD_CAPS_BASE64_SIZE(packets.len)));
    urd_caps_base64_encode(packets.data, packets.len, text);
    free(packets.data);
    *ret = (struct octets){ (uint8_t *)text, strlen(text) };
    return URD_OK;
}

static urd_err write_v2_text(const struct urd_caps_token *t, struct octets *ret)
{
    char *text;
    urd_err err = urd_caps_token_to_text(t, &text);
    if (err == URD_OK) *ret = (struct octets){ (uint8_t *)text, strlen(text) };
    return err;
}

static const struct form {
    const char *name; /* the member of a token, or the format of a parse case */
    bool is_hex;
    bool is_canonical; /* what is read must be written back alike */
    urd_err (*read)(struct octets in, struct urd_caps_token **ret);
    urd_err (*write)(const struct urd_caps_token *t, struct octets *ret);
} forms[] = {
    { "v1_b64", false, true, read_text, write_v1_text },
    { "v2_hex", true, true, read_v2, write_v2 },
    { "v2_b64", false, true, read_text, write_v2_text },
    { "v2j", false, true, read_v2j, write_v2j },
},
  parse_forms[] = {
      { "v1", true, true, read_v1, write_v1 },
      { "v1text", true, false, read_text, write_v1_text },
      { "v2", true, true, read_v2, write_v2 },
      { "v2text", true, false, read_text, write_v2_text },
      { "v2j", true, false, read_v2j, write_v2j },
  };

static bool writes_back(const struct form *form, const struct urd_caps_token *t, struct octets in)
{
    struct octets out;
    if (form->write(t, &out) != URD_OK) return false;
    bool ok = same(view(out), in);
    free(out.data);
    return ok;
}

/* -- verifying -----------------------------------------------------------------------------------
 */

struct tokens {
    size_t count; /* the root, then its discharges */
    struct urd_caps_token *all[1 + 64];
};

static void free_tokens(struct tokens *t)
{
    for (size_t i = 0; i < t->count; i++)
        urd_caps_token_free(t->all[i]);
    t->count = 0;
}

/* arg: the case's list of predicates that hold, in hex. */
static bool holds_exactly(void *arg, const struct urd_caps_site *site)
{
    const json_t *satisfied = arg, *one;
    size_t i;
    char *hex = must(malloc(2 * site->predicate.len + 1));
    sodium_bin2hex(hex, 2 * site->predicate.len + 1, site->predicate.data, site->predicate.len);
    bool found = false;
    json_array_foreach(satisfied, i, one)
    {
        const char *text = json_string_value(one);
        found |= text != NULL && strcmp(text, hex) == 0;
    }
    free(hex);
    return found;
}

static bool authorized(const json_t *test, const struct tokens *tokens)
{
    struct octets secret = from_hex(test, "root_key_hex");
    struct urd_caps_key key;
    struct urd_caps_chain *chain;
    struct urd_caps_bytes refused;
    urd_caps_key_init(&key, secret.data, secret.len);
    free(secret.data);
    urd_err err = urd_caps_chain_new(&key, tokens->all[0],
                                     (const struct urd_caps_token *const *)&tokens->all[1],
                                     tokens->count - 1, &chain);
    urd_caps_key_done(&key);
    if (err != URD_OK) return false;
    json_t *satisfied = json_object_get(test, "satisfied_exact_hex");
    bool ok =
        urd_caps_chain_evaluate(chain, holds_exactly, satisfied, &refused) == URD_CAPS_CHAIN_HOLDS;
    urd_caps_chain_free(chain);
    return ok;
}

/* -- verify cases --------------------------------------------------------------------------------
 */

static struct octets serialised(const json_t *token, const struct form *form)
{
    if (form->is_hex) return from_hex(token, form->name);
    const char *text = json_string_value(json_object_get(token, form->name));
    return copy_of(text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

static bool field_is(struct urd_caps_bytes bytes, const json_t *object, const char *name)
{
    struct octets wanted = from_hex(object, name);
    bool ok = same(bytes, wanted);
    free(wanted.data);
    return ok;
}

static bool fields_match(const struct urd_caps_token *t, const json_t *token)
{
    const json_t *caveats = json_object_get(token, "caveats");
    struct urd_caps_bytes signature = { urd_caps_token_signature(t), URD_CAPS_SIGNATURE_BYTES };
    bool ok = field_is(urd_caps_token_location(t), token, "location_hex") &&
              field_is(urd_caps_token_identifier(t), token, "identifier_hex") &&
              field_is(signature, token, "signature_hex") &&
              urd_caps_token_caveat_count(t) == json_array_size(caveats);
    for (size_t i = 0; ok && i < json_array_size(caveats); i++) {
        const json_t *wanted = json_array_get(caveats, i);
        struct urd_caps_caveat caveat = urd_caps_token_caveat(t, i);
        ok = field_is(caveat.id, wanted, "cid_hex") && field_is(caveat.vid, wanted, "vid_hex") &&
             field_is(caveat.location, wanted, "cl_hex");
    }
    return ok;
}

enum reading { READ, REFUSED, WRONG };

static enum reading read_one(const json_t *token, const struct form *form, struct tokens *tokens,
                             struct complaint *why)
{
    struct octets in = serialised(token, form);
    struct urd_caps_token *t;
    enum reading answer = REFUSED;
    if (form->read(in, &t) == URD_OK) {
        tokens->all[tokens->count++] = t;
        answer = READ;
        if (!fields_match(t, token)) {
            complain(why, "%s: fields are not what the file says", form->name);
            answer = WRONG;
        } else if (!writes_back(form, t, in)) {
            complain(why, "%s: does not write back to the same bytes", form->name);
            answer = WRONG;
        }
    }
    free(in.data);
    return answer;
}

/* One case in one serialisation.  A token that is refused already while it is read is not
 * authorized. */
static bool run_form(const json_t *test, const struct form *form, struct complaint *why)
{
    const json_t *discharges = json_object_get(test, "discharges");
    bool wanted = strcmp(json_string_value(json_object_get(test, "expect")), "authorized") == 0;
    struct tokens tokens = { 0 };
    if (json_array_size(discharges) > 64) return complain(why, "more than 64 discharges");

    enum reading answer = read_one(json_object_get(test, "macaroon"), form, &tokens, why);
    for (size_t i = 0; answer == READ && i < json_array_size(discharges); i++)
        answer = read_one(json_array_get(discharges, i), form, &tokens, why);
    bool got = answer == READ && authorized(test, &tokens);
    free_tokens(&tokens);
    if (answer == WRONG) return false;
    if (got == wanted) return true;
    return complain(why, "%s: %s, expected %s", form->name,
                    answer == REFUSED ? "refused to read"
                    : got             ? "authorized"
                                      : "unauthorized",
                    wanted ? "authorized" : "unauthorized");
}

/* -- building again ------------------------------------------------------------------------------
 */

/* What the case says of the third-party caveat with this id. */
static const json_t *third_party(const json_t *build, const json_t *caveat)
{
    const char *id = json_string_value(json_object_get(caveat, "cid_hex"));
    const json_t *all = json_object_get(build, "third_party"), *one;
    size_t i;
    json_array_foreach(all, i, one)
    {
        const char *its = json_string_value(json_object_get(one, "caveat_id_hex"));
        if (id != NULL && its != NULL && strcmp(its, id) == 0) return one;
    }
    return NULL;
}

static urd_err add_caveat(struct urd_caps_token *t, const json_t *build, const json_t *caveat)
{
    struct octets id = from_hex(caveat, "cid_hex"), location = from_hex(caveat, "cl_hex");
    const json_t *third = third_party(build, caveat);
    urd_err err;
    if (third == NULL) {
        err = urd_caps_token_add_first_party(t, view(id));
    } else {
        struct octets secret = from_hex(third, "caveat_key_hex"),
                      nonce = from_hex(third, "nonce_hex");
        struct urd_caps_key key;
        urd_caps_key_init(&key, secret.data, secret.len);
        err = nonce.len != URD_CAPS_NONCE_BYTES
                  ? URD_E_INVALID
                  : urd_caps_token_add_third_party(t, view(location), view(id), &key, nonce.data);
        free(secret.data);
        free(nonce.data);
    }
    free(id.data);
    free(location.data);
    return err;
}

/* Make @token as its fields say, under @secret. */
static struct urd_caps_token *build_one(const json_t *build, const json_t *token,
                                        struct octets secret)
{
    struct octets id = from_hex(token, "identifier_hex"),
                  location = from_hex(token, "location_hex");
    const json_t *caveats = json_object_get(token, "caveats");
    struct urd_caps_key key;
    struct urd_caps_token *t = NULL;
    urd_caps_key_init(&key, secret.data, secret.len);
    urd_err err = urd_caps_token_create(&key, view(id), view(location), &t);
    for (size_t i = 0; err == URD_OK && i < json_array_size(caveats); i++)
        err = add_caveat(t, build, json_array_get(caveats, i));
    if (err != URD_OK) {
        urd_caps_token_free(t);
        t = NULL;
    }
    free(id.data);
    free(location.data);
    return t;
}

static bool build_discharge(const json_t *build, const json_t *token,
                            const struct urd_caps_token *root)
{
    const json_t *all = json_object_get(build, "third_party"), *one;
    const char *id = json_string_value(json_object_get(token, "identifier_hex"));
    size_t i;
    json_array_foreach(all, i, one)
    {
        const char *its = json_string_value(json_object_get(one, "caveat_id_hex"));
        if (id == NULL || its == NULL || strcmp(id, its) != 0) continue;
        struct octets secret = from_hex(one, "caveat_key_hex");
        struct urd_caps_token *t = build_one(build, token, secret);
        free(secret.data);
        if (t == NULL) return false;
        urd_caps_token_bind(t, root);
        bool ok = fields_match(t, token);
        urd_caps_token_free(t);
        return ok;
    }
    return false;
}

static bool run_build(const json_t *test, struct complaint *why)
{
    const json_t *build = json_object_get(test, "build"), *root = json_object_get(test, "macaroon");
    const json_t *discharges = json_object_get(test, "discharges");
    if (build == NULL) return true;
    struct octets secret = from_hex(test, "root_key_hex");
    struct urd_caps_token *t = build_one(build, root, secret);
    free(secret.data);
    bool ok = t != NULL && fields_match(t, root);
    if (!ok) complain(why, "build: the root does not come out the same");
    for (size_t i = 0; ok && i < json_array_size(discharges); i++) {
        ok = build_discharge(build, json_array_get(discharges, i), t);
        if (!ok) complain(why, "build: discharge %zu does not come out the same", i);
    }
    urd_caps_token_free(t);
    return ok;
}

static bool run_verify(const json_t *test, struct complaint *why)
{
    const json_t *root = json_object_get(test, "macaroon");
    unsigned count = 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (json_object_get(root, forms[i].name) == NULL) continue;
        if (!run_form(test, &forms[i], why)) return false;
        count++;
    }
    if (count == 0) return complain(why, "no serialisation that is known here");
    return run_build(test, why);
}

/* -- parse cases ---------------------------------------------------------------------------------
 */

static bool run_parse(const json_t *test, struct complaint *why)
{
    const char *format = json_string_value(json_object_get(test, "format"));
    const char *wanted = json_string_value(json_object_get(test, "expect"));
    const struct form *form = NULL;
    for (size_t i = 0; i < sizeof parse_forms / sizeof parse_forms[0]; i++)
        if (format != NULL && strcmp(format, parse_forms[i].name) == 0) form = &parse_forms[i];
    if (form == NULL) return complain(why, "unknown format");

    struct octets in = from_hex(test, "data_hex");
    struct tokens tokens = { 0 };
    const char *got = "parse_error";
    bool alike = true;
    if (form->read(in, &tokens.all[0]) == URD_OK) {
        tokens.count = 1;
        got = authorized(test, &tokens) ? "authorized" : "unauthorized";
        alike = !form->is_canonical || writes_back(form, tokens.all[0], in);
    }
    free_tokens(&tokens);
    free(in.data);
    if (!alike) return complain(why, "does not write back to the same bytes");
    return strcmp(got, wanted) == 0 || complain(why, "%s, expected %s", got, wanted);
}

static bool run_case(const json_t *test, struct complaint *why)
{
    const char *type = json_string_value(json_object_get(test, "type"));
    const char *expect = json_string_value(json_object_get(test, "expect"));
    if (type == NULL || expect == NULL) return complain(why, "no type, or nothing expected");
    if (strcmp(type, "verify") == 0) return run_verify(test, why);
    if (strcmp(type, "parse") == 0) return run_parse(test, why);
    return complain(why, "unknown type `%s`", type);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: vectors_macaroon FILE\n");
        return 2;
    }
    if (urd_caps_init() != URD_OK) return 2;
    json_error_t error;
    json_t *file = json_load_file(argv[1], 0, &error), *test;
    if (file == NULL) {
        (void)fprintf(stderr, "vectors_macaroon: %s:%d: %s\n", argv[1], error.line, error.text);
        return 2;
    }
    const json_t *cases = json_is_array(file) ? file : json_object_get(file, "cases");
    unsigned passed = 0, failed = 0;
    size_t i;
    json_array_foreach(cases, i, test)
    {
        struct complaint why = { "" };
        const char *name = json_string_value(json_object_get(test, "name"));
        if (run_case(test, &why)) {
            passed++;
            continue;
        }
        failed++;
        printf("FAILED %s: %s\n", name == NULL ? "(no name)" : name, why.text);
    }
    json_decref(file);
    printf("%u passed, %u failed\n", passed, failed);
    return passed > 0 && failed == 0 ? 0 : 1;
}
