/* The one decoder of built-in steps' inputs.  A table says which members each kind takes; at the
 * door a reference may stand for any of them, later there are none left. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_internal.h"
#include "saga/document_internal.h"

enum member { NAME, AMOUNT, TTL, TOKEN, MESSAGE, MEMBERS };

/* What a kind takes: names of members, NULL where it takes none. */
struct shape {
    const char *name; /* what the member NAME is called */
    unsigned takes;   /* bits of enum member */
    unsigned needs;
};

#define BIT(member) (1u << (member))
/* clang-format off */
static const struct shape shapes[SAGA_KIND_COUNT] = {
    [SAGA_KIND_RESERVE] = { "quantity", BIT(NAME) | BIT(AMOUNT), BIT(NAME) | BIT(AMOUNT) },
    [SAGA_KIND_COMMIT]  = { NULL, 0, 0 },
    [SAGA_KIND_ABORT]   = { "quantity", BIT(NAME), 0 },
    [SAGA_KIND_SEND]    = { "queue", BIT(NAME) | BIT(MESSAGE), BIT(NAME) | BIT(MESSAGE) },
    [SAGA_KIND_RECEIVE] = { "queue", BIT(NAME), BIT(NAME) },
    [SAGA_KIND_ACQUIRE] = { "lease", BIT(NAME) | BIT(TTL), BIT(NAME) | BIT(TTL) },
    [SAGA_KIND_RENEW]   = { "lease", BIT(NAME) | BIT(TTL) | BIT(TOKEN), BIT(NAME) | BIT(TTL) },
    [SAGA_KIND_RELEASE] = { "lease", BIT(NAME) | BIT(TOKEN), BIT(NAME) },
};
/* clang-format on */

struct decode {
    enum saga_kind kind;
    bool door; /* references are let through */
    struct saga_builtin_input *to;
    char *errmsg;
    size_t errmsg_len;
};

__attribute__((format(printf, 3, 4))) static urd_err complain(const struct decode *d, urd_err err,
                                                              const char *format, ...)
{
    if (d->errmsg == NULL || d->errmsg_len == 0) return err;
    int used = snprintf(d->errmsg, d->errmsg_len,
                        "input of a built-in %s: ", saga_kind_info(d->kind)->name);
    if (used < 0 || (size_t)used >= d->errmsg_len) return err;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(d->errmsg + used, d->errmsg_len - (size_t)used, format, args);
    va_end(args);
    return err;
}

static const char *member_name(const struct shape *shape, enum member member)
{
    static const char *const names[MEMBERS] = {
        [AMOUNT] = "amount", [TTL] = "ttl_ms", [TOKEN] = "token", [MESSAGE] = "message"
    };
    return member == NAME ? shape->name : names[member];
}

static urd_err take_number(const struct decode *d, const char *member, const json_t *value,
                           uint64_t max, uint64_t *ret)
{
    json_int_t n = json_integer_value(value); /* 0: not an integer */
    if (n < 1 || (uint64_t)n > max)
        return complain(d, URD_E_INVALID, "'%s' must be a whole number from 1 to %llu", member,
                        (unsigned long long)max);
    *ret = (uint64_t)n;
    return URD_OK;
}

static urd_err take_name(const struct decode *d, const char *member, const json_t *value)
{
    const char *name = json_string_value(value);
    if (name == NULL || !saga_name_valid(name, SAGA_NAME_BYTES_MAX))
        return complain(d, URD_E_INVALID,
                        "'%s' must be a name of 1 to %u bytes without '/' or control characters",
                        member, SAGA_NAME_BYTES_MAX);
    d->to->name = name;
    return URD_OK;
}

static urd_err take_message(const struct decode *d, const json_t *value)
{
    size_t len = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    if (len > SAGA_MESSAGE_BYTES_MAX)
        return complain(d, URD_E_TOO_BIG, "the message is larger than %u bytes",
                        SAGA_MESSAGE_BYTES_MAX);
    if (d->door) return URD_OK;
    d->to->message = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    return d->to->message != NULL ? URD_OK : URD_E_NOMEM;
}

static urd_err take(const struct decode *d, enum member member, const char *name,
                    const json_t *value)
{
    if (member == MESSAGE) return take_message(d, value); /* may hold references anywhere */
    if (d->door && saga_reference_is(value)) return URD_OK;
    switch (member) {
    case NAME:
        return take_name(d, name, value);
    case AMOUNT:
        return take_number(d, name, value, SAGA_AMOUNT_MAX, &d->to->amount);
    case TTL:
        return take_number(d, name, value, SAGA_MS_MAX, &d->to->ttl_ms);
    default:
        return take_number(d, name, value, SAGA_AMOUNT_MAX, &d->to->token);
    }
}

/* Which member of @shape is called @name; MEMBERS: none that it takes. */
static enum member find(const struct shape *shape, const char *name)
{
    for (enum member m = NAME; m < MEMBERS; m++)
        if ((shape->takes & BIT(m)) != 0 && strcmp(member_name(shape, m), name) == 0) return m;
    return MEMBERS;
}

static urd_err decode(const struct decode *d, const json_t *input)
{
    const struct shape *shape = &shapes[d->kind];
    unsigned missing = shape->needs;
    const char *name;
    json_t *value;

    if (!saga_kind_info(d->kind)->builtin)
        return complain(d, URD_E_UNSUPPORTED, "there is no built-in form of this kind");
    if (input == NULL || json_is_null(input)) input = NULL;
    if (d->door && input != NULL && saga_reference_is(input)) return URD_OK;
    if (input != NULL && !json_is_object(input))
        return complain(d, URD_E_INVALID, "must be an object");
    json_object_foreach((json_t *)input, name, value)
    {
        enum member member = find(shape, name);
        if (member == MEMBERS && d->kind == SAGA_KIND_RECEIVE && strcmp(name, "signal") == 0)
            return complain(d, URD_E_UNSUPPORTED, "signals are not received from a queue");
        if (member == MEMBERS) return complain(d, URD_E_INVALID, "unknown member '%.100s'", name);
        urd_err err = take(d, member, name, value);
        if (err != URD_OK) return err;
        missing &= ~BIT(member);
    }
    for (enum member m = NAME; m < MEMBERS; m++)
        if ((missing & BIT(m)) != 0)
            return complain(d, URD_E_INVALID, "has no '%s'", member_name(shape, m));
    return URD_OK;
}

urd_err saga_builtin_check(enum saga_kind kind, const json_t *input, char *errmsg,
                           size_t errmsg_len)
{
    struct saga_builtin_input unused = { 0 };
    struct decode d = { kind, true, &unused, errmsg, errmsg_len };
    if (kind == SAGA_KIND_RECEIVE && json_is_string(json_object_get(input, "signal")))
        return json_object_size(input) == 1
                   ? URD_OK
                   : complain(&d, URD_E_INVALID, "nothing stands beside 'signal'");
    return decode(&d, input);
}

urd_err saga_builtin_input_decode(enum saga_kind kind, const char *text,
                                  struct saga_builtin_input *ret, char *errmsg, size_t errmsg_len)
{
    struct saga_builtin_input input = { 0 };
    struct decode d = { kind, false, &input, errmsg, errmsg_len };
    urd_err err =
        saga_json_decode(text, strlen(text), SAGA_INPUT_BYTES_MAX, &input.root, errmsg, errmsg_len);
    if (err == URD_OK) err = decode(&d, input.root);
    if (err != URD_OK) {
        saga_builtin_input_done(&input);
        return err;
    }
    *ret = input;
    return URD_OK;
}

void saga_builtin_input_done(struct saga_builtin_input *input)
{
    free(input->message);
    json_decref(input->root);
    *input = (struct saga_builtin_input){ 0 };
}
