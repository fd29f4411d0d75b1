/* What the tests of caps share: cmocka, text as bytes, and a small world with one root key. */
#ifndef TESTS_UNIT_CAPS_FIXTURE_H
#define TESTS_UNIT_CAPS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "caps/identifier.h"
#include "caps/key.h"
#include "caps/token.h"

#define assert_ok(expr) assert_int_equal((expr), URD_OK)

static inline struct urd_caps_bytes text_bytes(const char *text)
{
    return (struct urd_caps_bytes){ (const uint8_t *)text, strlen(text) };
}

static inline struct urd_caps_key key_of(const char *secret)
{
    struct urd_caps_key key;
    urd_caps_key_init(&key, (const uint8_t *)secret, strlen(secret));
    return key;
}

/* A token of the given identifier text under @secret, with first-party @predicates up to NULL. */
static inline struct urd_caps_token *token_of(const char *secret, const char *identifier,
                                              const char *const *predicates)
{
    struct urd_caps_key key = key_of(secret);
    struct urd_caps_token *t;
    assert_ok(urd_caps_token_create(&key, text_bytes(identifier), text_bytes(""), &t));
    for (size_t i = 0; predicates != NULL && predicates[i] != NULL; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes(predicates[i])));
    return t;
}

/* An identifier of Urd's whose ids are all @fill, minted by node "a" at 1000000000 (2001-09-09). */
static inline struct urd_caps_identifier identifier_of(uint8_t fill)
{
    struct urd_caps_identifier id = { .issued_at_s = 1000000000, .node = "a" };
    memset(id.root_key_id, fill, sizeof id.root_key_id);
    memset(id.token_id, fill, sizeof id.token_id);
    return id;
}

/* A token of Urd's with that identifier. */
static inline struct urd_caps_token *minted(const char *secret, uint8_t fill,
                                            const char *const *predicates)
{
    struct urd_caps_key key = key_of(secret);
    struct urd_caps_identifier id = identifier_of(fill);
    struct urd_caps_token *t;
    assert_ok(urd_caps_token_mint(&key, &id, text_bytes("urd"), &t));
    for (size_t i = 0; predicates != NULL && predicates[i] != NULL; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes(predicates[i])));
    return t;
}

#define PREDICATES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline int init_caps(void **state)
{
    (void)state;
    return urd_caps_init() == URD_OK ? 0 : -1;
}

#define RUN(name, tests) cmocka_run_group_tests_name("caps/" name, tests, init_caps, NULL)

#endif
