/* Chains: what holds, what does not, and that hostile sets of discharges cost no more than the
 * bound. */
#include "tests/unit/caps/fixture.h"

#include <time.h>

#include "caps/chain.h"

/* arg: predicates that hold, up to NULL.  Counts how often it is asked. */
struct oracle {
    const char *const *accepted;
    unsigned asked;
};

static bool accepts(void *arg, const struct urd_caps_site *site)
{
    struct oracle *o = arg;
    o->asked++;
    for (size_t i = 0; o->accepted != NULL && o->accepted[i] != NULL; i++)
        if (strlen(o->accepted[i]) == site->predicate.len &&
            memcmp(o->accepted[i], site->predicate.data, site->predicate.len) == 0)
            return true;
    return false;
}

static enum urd_caps_chain_answer ask(const struct urd_caps_token *root,
                                      struct urd_caps_token *const *discharges, size_t count,
                                      const char *const *accepted, struct urd_caps_bytes *refused)
{
    struct urd_caps_key key = key_of("root");
    struct urd_caps_chain *chain;
    struct oracle oracle = { accepted, 0 };
    struct urd_caps_bytes unused;
    assert_ok(urd_caps_chain_new(&key, root, (const struct urd_caps_token *const *)discharges,
                                 count, &chain));
    enum urd_caps_chain_answer answer =
        urd_caps_chain_evaluate(chain, accepts, &oracle, refused != NULL ? refused : &unused);
    if (answer == URD_CAPS_CHAIN_BAD_SIGNATURE) assert_int_equal(oracle.asked, 0);
    urd_caps_chain_free(chain);
    return answer;
}

static void third(struct urd_caps_token *t, const char *id, const char *secret)
{
    struct urd_caps_key key = key_of(secret);
    uint8_t nonce[24] = { 7 };
    assert_ok(urd_caps_token_add_third_party(t, text_bytes("loc"), text_bytes(id), &key, nonce));
}

static void a_wrong_signature_asks_no_caveat(void **state)
{
    (void)state;
    struct urd_caps_token *t = token_of("other", "id", PREDICATES("a", "b"));
    assert_int_equal(ask(t, NULL, 0, PREDICATES("a", "b"), NULL), URD_CAPS_CHAIN_BAD_SIGNATURE);
    urd_caps_token_free(t);
}

static void every_predicate_must_hold(void **state)
{
    (void)state;
    struct urd_caps_bytes refused;
    struct urd_caps_token *t = token_of("root", "id", PREDICATES("a", "b"));
    assert_int_equal(ask(t, NULL, 0, PREDICATES("b", "a"), NULL), URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(ask(t, NULL, 0, PREDICATES("a"), &refused), URD_CAPS_CHAIN_PREDICATE);
    assert_memory_equal(refused.data, "b", 1);
    urd_caps_token_free(t);
}

static void a_discharge_must_be_bound_to_this_root(void **state)
{
    (void)state;
    struct urd_caps_bytes refused;
    struct urd_caps_token *root = token_of("root", "id", NULL);
    third(root, "x", "shared");
    struct urd_caps_token *d = token_of("shared", "x", PREDICATES("a")), *unbound, *late;
    assert_ok(urd_caps_token_clone(d, &unbound));
    assert_ok(urd_caps_token_clone(d, &late));
    urd_caps_token_bind(d, root);

    assert_int_equal(ask(root, &d, 1, PREDICATES("a"), NULL), URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(ask(root, &d, 1, NULL, &refused), URD_CAPS_CHAIN_PREDICATE);
    assert_memory_equal(refused.data, "a", 1);
    assert_int_equal(ask(root, NULL, 0, PREDICATES("a"), &refused), URD_CAPS_CHAIN_DISCHARGE);
    assert_memory_equal(refused.data, "x", 1);
    assert_int_equal(ask(root, &unbound, 1, PREDICATES("a"), NULL), URD_CAPS_CHAIN_DISCHARGE);

    assert_ok(urd_caps_token_add_first_party(root, text_bytes("b"))); /* after binding: too late */
    assert_int_equal(ask(root, &d, 1, PREDICATES("a", "b"), NULL), URD_CAPS_CHAIN_DISCHARGE);
    urd_caps_token_bind(late, root);
    assert_int_equal(ask(root, &late, 1, PREDICATES("a", "b"), NULL), URD_CAPS_CHAIN_HOLDS);
    urd_caps_token_free(root);
    urd_caps_token_free(d);
    urd_caps_token_free(unbound);
    urd_caps_token_free(late);
}

static void of_several_discharges_any_will_do_and_the_others_are_ignored(void **state)
{
    (void)state;
    struct urd_caps_token *root = token_of("root", "id", NULL);
    third(root, "x", "shared");
    struct urd_caps_token *all[] = { token_of("wrong", "x", NULL),
                                     token_of("shared", "x", PREDICATES("no")),
                                     token_of("shared", "x", PREDICATES("a")),
                                     token_of("shared", "unused", PREDICATES("no")) };
    for (size_t i = 0; i < 4; i++)
        urd_caps_token_bind(all[i], root);
    assert_int_equal(ask(root, all, 4, PREDICATES("a"), NULL), URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(ask(root, all, 2, PREDICATES("a"), NULL), URD_CAPS_CHAIN_PREDICATE);
    assert_int_equal(ask(root, all, 1, PREDICATES("a"), NULL), URD_CAPS_CHAIN_DISCHARGE);
    for (size_t i = 0; i < 4; i++)
        urd_caps_token_free(all[i]);
    urd_caps_token_free(root);
}

/* A chain of @depth discharges, each asking for the next. */
static enum urd_caps_chain_answer nested(unsigned depth)
{
    struct urd_caps_token *all[16], *root = token_of("root", "id", NULL);
    char id[16], next[16];
    third(root, "d0", "s");
    for (unsigned i = 0; i < depth; i++) {
        (void)snprintf(id, sizeof id, "d%u", i);
        (void)snprintf(next, sizeof next, "d%u", i + 1);
        all[i] = token_of("s", id, NULL);
        if (i + 1 < depth) third(all[i], next, "s");
    }
    for (unsigned i = 0; i < depth; i++)
        urd_caps_token_bind(all[i], root);
    enum urd_caps_chain_answer answer = ask(root, all, depth, NULL, NULL);
    for (unsigned i = 0; i < depth; i++)
        urd_caps_token_free(all[i]);
    urd_caps_token_free(root);
    return answer;
}

static void discharges_nest_to_a_depth_and_no_deeper(void **state)
{
    (void)state;
    assert_int_equal(nested(1), URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(nested(URD_CAPS_DEPTH_MAX), URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(nested(URD_CAPS_DEPTH_MAX + 1), URD_CAPS_CHAIN_LIMIT);
}

static void a_discharge_cannot_discharge_itself(void **state)
{
    (void)state;
    struct urd_caps_token *root = token_of("root", "id", NULL);
    third(root, "x", "s");
    struct urd_caps_token *d = token_of("s", "x", NULL);
    third(d, "x", "s");
    urd_caps_token_bind(d, root);
    assert_int_equal(ask(root, &d, 1, NULL, NULL), URD_CAPS_CHAIN_DISCHARGE);
    urd_caps_token_free(d);
    urd_caps_token_free(root);
}

/* Sixteen discharges of one id, each with sixty-four caveats that ask for that id: without a bound
 * this is 64^8 walks. */
static void a_hostile_set_of_discharges_is_refused_at_once(void **state)
{
    (void)state;
    struct urd_caps_token *root = token_of("root", "id", NULL), *all[16];
    third(root, "x", "s");
    for (size_t i = 0; i < 16; i++) {
        all[i] = token_of("s", "x", NULL);
        for (int k = 0; k < URD_CAPS_CAVEATS_MAX; k++)
            third(all[i], "x", "s");
        urd_caps_token_bind(all[i], root);
    }
    clock_t start = clock();
    assert_int_equal(ask(root, all, 16, NULL, NULL), URD_CAPS_CHAIN_LIMIT);
    assert_true(clock() - start < CLOCKS_PER_SEC);
    for (size_t i = 0; i < 16; i++)
        urd_caps_token_free(all[i]);

    struct urd_caps_key key = key_of("root");
    struct urd_caps_chain *chain;
    const struct urd_caps_token *many[17] = { root };
    assert_int_equal(urd_caps_chain_new(&key, root, many, 17, &chain), URD_E_TOO_BIG);
    urd_caps_token_free(root);
}

struct seen {
    char text[64];
    uint8_t signatures[8][32];
    unsigned count;
};

static bool note(void *arg, const struct urd_caps_site *site)
{
    struct seen *s = arg;
    strncat(s->text, (const char *)site->predicate.data, site->predicate.len);
    memcpy(s->signatures[s->count++], site->signature, 32);
    return s->count < 4;
}

static void what_was_counted_on_is_shown_in_order(void **state)
{
    (void)state;
    struct urd_caps_token *root = token_of("root", "id", PREDICATES("a"));
    uint8_t after_a[32];
    memcpy(after_a, urd_caps_token_signature(root), 32);
    third(root, "x", "s");
    assert_ok(urd_caps_token_add_first_party(root, text_bytes("c")));
    struct urd_caps_token *all[] = { token_of("s", "x", PREDICATES("no")),
                                     token_of("s", "x", PREDICATES("b")) };
    urd_caps_token_bind(all[0], root);
    urd_caps_token_bind(all[1], root);

    struct urd_caps_key key = key_of("root");
    struct urd_caps_chain *chain;
    struct oracle oracle = { PREDICATES("a", "b", "c"), 0 };
    struct urd_caps_bytes refused;
    struct seen seen = { .count = 0 };
    assert_ok(urd_caps_chain_new(&key, root, (const struct urd_caps_token *const *)all, 2, &chain));
    assert_int_equal(urd_caps_chain_evaluate(chain, accepts, &oracle, &refused),
                     URD_CAPS_CHAIN_HOLDS);
    assert_int_equal(oracle.asked, 4); /* also the discharge that was not chosen */
    assert_true(urd_caps_chain_each(chain, note, &seen));
    assert_string_equal(seen.text, "abc");
    assert_memory_equal(seen.signatures[0], after_a, 32);
    assert_memory_equal(seen.signatures[2], urd_caps_token_signature(root), 32);
    seen = (struct seen){ .count = 3 };
    assert_false(urd_caps_chain_each(chain, note, &seen)); /* stops at the first false */
    assert_string_equal(seen.text, "a");
    urd_caps_chain_free(chain);
    urd_caps_token_free(all[0]);
    urd_caps_token_free(all[1]);
    urd_caps_token_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_signature_asks_no_caveat),
        cmocka_unit_test(every_predicate_must_hold),
        cmocka_unit_test(a_discharge_must_be_bound_to_this_root),
        cmocka_unit_test(of_several_discharges_any_will_do_and_the_others_are_ignored),
        cmocka_unit_test(discharges_nest_to_a_depth_and_no_deeper),
        cmocka_unit_test(a_discharge_cannot_discharge_itself),
        cmocka_unit_test(a_hostile_set_of_discharges_is_refused_at_once),
        cmocka_unit_test(what_was_counted_on_is_shown_in_order),
    };
    return RUN("chain", tests);
}
