/* A verifier with one root key, "root", under the id 01..01, and one way to ask it. */
#ifndef TESTS_UNIT_CAPS_WORLD_H
#define TESTS_UNIT_CAPS_WORLD_H

#include "tests/unit/caps/fixture.h"

#include "caps/verify.h"

#define SECONDS(s) ((uint64_t)(s)*UINT64_C(1000000000))
#define NOW_S      1893456000 /* 2030-01-01T00:00:00Z */

struct answer {
    urd_err err;
    struct urd_caps_grant *grant; /* NULL unless it passed */
    struct urd_caps_spends spends;
    struct urd_caps_refusal refusal;
};

static inline const struct urd_caps_key *the_root_key(void *arg, const uint8_t *root_key_id)
{
    static const uint8_t one[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    return memcmp(root_key_id, one, 8) == 0 ? arg : NULL;
}

static inline struct urd_caps_request a_request(const char *action, const char *resource)
{
    return (struct urd_caps_request){ .now_ns = SECONDS(NOW_S),
                                      .leeway_ns = URD_CAPS_LEEWAY_NS_DEFAULT,
                                      .action = action,
                                      .resource = resource };
}

static inline struct answer ask_with(struct urd_caps_bundle *bundle,
                                     const struct urd_caps_revoked *revoked,
                                     const struct urd_caps_request *request)
{
    struct urd_caps_key key = key_of("root");
    struct urd_caps_verifier verifier = { the_root_key, &key, revoked };
    struct answer a = { .grant = NULL };
    a.err = urd_caps_verify(&verifier, bundle, request, &a.grant, &a.spends, &a.refusal);
    if (a.err != URD_OK) assert_null(a.grant);
    return a;
}

static inline struct answer ask(struct urd_caps_token *root, const struct urd_caps_revoked *revoked,
                                const struct urd_caps_request *request)
{
    struct urd_caps_bundle bundle = { .root = root };
    return ask_with(&bundle, revoked, request);
}

#endif
