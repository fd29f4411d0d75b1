/* May this request be done?  Each way of no, with its code and its kind; and what a yes hands on.
 */
#include "tests/unit/caps/world.h"

#include <time.h>

#include "caps/glob.h"

/* Ask about saga.submit on saga/trip with a token of these caveats. */
static void expect(const char *const *predicates, urd_err err, enum urd_caps_kind kind)
{
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t = minted("root", 1, predicates);
    struct answer a = ask(t, NULL, &r);
    if (a.err != err)
        fail_msg("%s, not %s: %s", urd_err_name(a.err), urd_err_name(err), predicates[0]);
    if (err != URD_OK) {
        assert_string_equal(urd_caps_kind_name(a.refusal.kind), urd_caps_kind_name(kind));
        assert_true(strlen(a.refusal.message) > 0);
    }
    urd_caps_grant_free(a.grant);
    urd_caps_token_free(t);
}

static void caveats_that_hold_pass_and_others_say_their_kind(void **state)
{
    (void)state;
    expect(PREDICATES("time < 2030-01-01T00:00:01Z", "time >= 2030-01-01T00:00:02Z"), URD_OK, 0);
    expect(PREDICATES("action = saga.*", "resource = saga/**", "uses <= 1"), URD_OK, 0);
    expect(PREDICATES("time < 2030-01-01T00:00:00Z"), URD_E_DENIED, URD_CAPS_TIME_BEFORE);
    expect(PREDICATES("time >= 2030-01-01T00:00:03Z"), URD_E_DENIED, URD_CAPS_TIME_FROM);
    expect(PREDICATES("region = s"), URD_E_DENIED, URD_CAPS_REGION);
    expect(PREDICATES("task = s"), URD_E_DENIED, URD_CAPS_TASK);
    expect(PREDICATES("action = file.*"), URD_E_DENIED, URD_CAPS_ACTION);
    expect(PREDICATES("resource = file/**"), URD_E_DENIED, URD_CAPS_RESOURCE);
    expect(PREDICATES("node = b"), URD_E_DENIED, URD_CAPS_CUSTOM);
    expect(PREDICATES("whatever"), URD_E_DENIED, URD_CAPS_UNKNOWN);
    expect(PREDICATES("time < 2030"), URD_E_DENIED, URD_CAPS_UNKNOWN);
    expect(PREDICATES("resource = saga/*", "resource = file/*"), URD_E_DENIED, URD_CAPS_RESOURCE);
}

static void a_strange_token_is_refused_before_its_caveats(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t = token_of("root", "keyid", NULL);
    struct answer a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_INVALID);
    assert_int_equal(a.refusal.kind, URD_CAPS_IDENTIFIER);
    urd_caps_token_free(t);

    t = minted("root", 2, NULL);
    a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_ROOT_KEY);
    urd_caps_token_free(t);

    t = minted("other", 1, PREDICATES("action = nothing"));
    a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_SIGNATURE);
    urd_caps_token_free(t);
}

static void a_request_with_a_crooked_name_is_invalid(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted("root", 1, NULL);
    struct urd_caps_request r = a_request("saga.submit", "saga/../x");
    struct answer a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_INVALID);
    assert_int_equal(a.refusal.kind, URD_CAPS_REQUEST);
    r = a_request("saga submit", "saga/x");
    assert_int_equal(ask(t, NULL, &r).err, URD_E_INVALID);
    urd_caps_token_free(t);
}

static void freshness_is_asked_of_the_token_and_of_the_operator(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted("root", 1, PREDICATES("fresh <= 10s")),
                          *plain = minted("root", 1, NULL);
    struct urd_caps_request r = a_request(NULL, NULL);
    r.home_heard_ago_ns = SECONDS(10);
    struct answer a = ask(t, NULL, &r);
    assert_ok(a.err);
    urd_caps_grant_free(a.grant);
    r.home_heard_ago_ns = SECONDS(10) + 1;
    a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_FRESH);

    r.home_heard_ago_ns = URD_CAPS_NEVER_HEARD_NS;
    a = ask(plain, NULL, &r); /* max_stale is off */
    assert_ok(a.err);
    urd_caps_grant_free(a.grant);
    r.max_stale_ns = SECONDS(60);
    a = ask(plain, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_FRESH);
    urd_caps_token_free(t);
    urd_caps_token_free(plain);
}

static struct urd_caps_revoked *revoked_set(const struct urd_caps_revocation *entry)
{
    static const uint8_t seed[16];
    struct urd_caps_revoked *set;
    uint64_t sequence;
    assert_ok(urd_caps_revoked_new(seed, 100, &set));
    assert_ok(urd_caps_revoked_add(set, entry, &sequence));
    return set;
}

static void expect_revoked(const struct urd_caps_revocation *entry, urd_err err,
                           enum urd_caps_kind kind)
{
    struct urd_caps_revoked *set = revoked_set(entry);
    struct urd_caps_request r = a_request(NULL, NULL);
    struct urd_caps_token *t =
        minted("root", 1, PREDICATES("link = aa000000000000000000000000000000"));
    struct answer a = ask(t, set, &r);
    assert_int_equal(a.err, err);
    if (err != URD_OK) assert_int_equal(a.refusal.kind, kind);
    urd_caps_grant_free(a.grant);
    urd_caps_token_free(t);
    urd_caps_revoked_free(set);
}

static void what_was_revoked_is_refused_as_revoked(void **state)
{
    (void)state;
    struct urd_caps_revocation e = { .kind = URD_CAPS_REVOKE_TOKEN,
                                     .expires_s = URD_CAPS_NO_EXPIRY };
    expect_revoked(&e, URD_OK, 0); /* another token */
    memset(e.token_id, 1, 16);
    expect_revoked(&e, URD_E_REVOKED, URD_CAPS_TOKEN);
    e.kind = URD_CAPS_REVOKE_LINK;
    expect_revoked(&e, URD_OK, 0); /* another branch */
    e.link[0] = 0xaa;
    expect_revoked(&e, URD_E_REVOKED, URD_CAPS_LINK);
    e.kind = URD_CAPS_REVOKE_KEY;
    expect_revoked(&e, URD_OK, 0);
    memset(e.root_key_id, 1, 8);
    expect_revoked(&e, URD_E_REVOKED, URD_CAPS_TOKEN);
    e.kind = URD_CAPS_REVOKE_BEFORE;
    e.before_s = 1000000000; /* issued at that second: kept */
    expect_revoked(&e, URD_OK, 0);
    e.before_s++;
    expect_revoked(&e, URD_E_REVOKED, URD_CAPS_TOKEN);
}

static void a_third_party_caveat_needs_its_discharge(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_key shared = key_of("shared");
    uint8_t nonce[24] = { 0 };
    struct urd_caps_token *root = minted("root", 1, NULL);
    assert_ok(urd_caps_token_add_third_party(root, text_bytes("https://x/"), text_bytes("who"),
                                             &shared, nonce));
    struct answer a = ask(root, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_THIRD_PARTY);

    /* its caveats are evaluated like others, and count in the grant */
    struct urd_caps_token *d =
        token_of("shared", "who", PREDICATES("time < 2031-01-01T00:00:00Z", "action = saga.*"));
    urd_caps_token_bind(d, root);
    struct urd_caps_bundle bundle = { root, { d }, 1 };
    a = ask_with(&bundle, NULL, &r);
    assert_ok(a.err);
    assert_int_equal(urd_caps_grant_expires_s(a.grant), 1924992000);
    assert_false(urd_caps_grant_allows(a.grant, "file.send", "saga/trip"));
    urd_caps_grant_free(a.grant);
    r.action = "file.send";
    a = ask_with(&bundle, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_ACTION);
    urd_caps_token_free(d);
    urd_caps_token_free(root);
}

static void a_grant_holds_what_the_chain_said(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t =
        minted("root", 1,
               PREDICATES("time < 2032-01-01T00:00:00Z", "action = saga.*,step.*",
                          "link = aa000000000000000000000000000000", "time < 2031-01-01T00:00:00Z",
                          "resource = saga/*,do/**", "link = bb000000000000000000000000000000"));
    struct answer a = ask(t, NULL, &r);
    int64_t until;
    assert_ok(a.err);
    assert_string_equal(urd_caps_grant_subject(a.grant), "01010101010101010101010101010101");
    assert_string_equal(urd_caps_grant_home(a.grant), "a");
    assert_int_equal(urd_caps_grant_issued_at_s(a.grant), 1000000000);
    assert_int_equal(urd_caps_grant_expires_s(a.grant), 1924992000);
    assert_int_equal(urd_caps_grant_link_count(a.grant), 2);
    assert_int_equal(urd_caps_grant_link(a.grant, 0, &until)[0], 0xaa);
    assert_int_equal(until, 1956528000); /* what stood before that link */
    assert_int_equal(urd_caps_grant_link(a.grant, 1, &until)[0], 0xbb);
    assert_int_equal(until, 1924992000);
    assert_string_equal(urd_caps_grant_action(a.grant, 0), "saga.*,step.*");
    assert_string_equal(urd_caps_grant_resource(a.grant, 0), "saga/*,do/**");
    assert_int_equal(a.spends.count, 0);
    urd_caps_grant_free(a.grant);
    urd_caps_token_free(t);
}

static void budgets_belong_to_one_caveat_of_one_chain(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t = minted("root", 1, PREDICATES("uses <= 3", "rate <= 5/1m")), *narrow;
    assert_ok(urd_caps_token_clone(t, &narrow));
    assert_ok(urd_caps_token_add_first_party(narrow, text_bytes("uses <= 3")));
    struct answer a = ask(t, NULL, &r), b = ask(narrow, NULL, &r);
    assert_ok(a.err);
    assert_ok(b.err);
    assert_string_equal(a.spends.home, "a");
    assert_int_equal(a.spends.count, 2);
    assert_int_equal(a.spends.items[0].count_max, 3);
    assert_int_equal(a.spends.items[0].window_ns, 0);
    assert_int_equal(a.spends.items[1].count_max, 5);
    assert_int_equal(a.spends.items[1].window_ns, SECONDS(60));
    /* whoever narrows still spends the same counters, and one of their own */
    assert_int_equal(b.spends.count, 3);
    assert_memory_equal(a.spends.items, b.spends.items, 2 * sizeof a.spends.items[0]);
    assert_memory_not_equal(b.spends.items[0].counter_key, b.spends.items[2].counter_key, 32);
    /* and the counter's key is no part of the chain */
    assert_memory_not_equal(b.spends.items[2].counter_key, urd_caps_token_signature(narrow), 32);
    urd_caps_grant_free(a.grant);
    urd_caps_grant_free(b.grant);
    urd_caps_token_free(t);
    urd_caps_token_free(narrow);
}

static void more_than_is_looked_at_is_refused_by_its_limit(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    struct urd_caps_token *t = minted("root", 1, NULL);
    for (int i = 0; i <= URD_CAPS_SPENDS_MAX; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes("uses <= 1")));
    struct answer a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_LIMIT);
    urd_caps_token_free(t);

    char list[4000] = "resource = **";
    while (strlen(list) < 3900)
        strcat(list, ",xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    t = minted("root", 1, NULL);
    for (int i = 0; i < 5; i++)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes(list)));
    a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    assert_int_equal(a.refusal.kind, URD_CAPS_LIMIT);
    urd_caps_token_free(t);
}

/* Sixteen discharges full of patterns made to be slow, none of which is counted on in the end:
 * matching them all would be 16 x 60 KB of patterns against 2 KB of name, some seconds. */
static void hostile_patterns_cost_no_more_than_the_bound(void **state)
{
    (void)state;
    char name[URD_CAPS_RESOURCE_BYTES_MAX + 1], slow[4000] = "resource = ";
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    strcat(slow, "*");
    memset(slow + strlen(slow), 'a',
           1024); /* tried from every place of the name, almost to its end */
    strcat(slow, "b");
    struct urd_caps_request r = a_request("saga.submit", name);
    struct urd_caps_key shared = key_of("shared");
    uint8_t nonce[24] = { 0 };
    struct urd_caps_token *root = minted("root", 1, NULL);
    assert_ok(
        urd_caps_token_add_third_party(root, text_bytes(""), text_bytes("who"), &shared, nonce));
    struct urd_caps_bundle bundle = { .root = root };
    for (int i = 0; i < URD_CAPS_DISCHARGES_MAX; i++) {
        struct urd_caps_token *d = token_of("shared", "who", NULL);
        for (int k = 0; k < 30 && i > 0; k++)
            assert_ok(urd_caps_token_add_first_party(d, text_bytes(slow)));
        urd_caps_token_bind(d, root);
        bundle.discharges[bundle.discharge_count++] = d;
    }
    clock_t start = clock();
    struct answer a = ask_with(&bundle, NULL, &r);
    assert_true(clock() - start < CLOCKS_PER_SEC);
    assert_ok(a.err);
    urd_caps_grant_free(a.grant);
    urd_caps_bundle_done(&bundle);
}

static void the_log_gets_no_raw_bytes(void **state)
{
    (void)state;
    struct urd_caps_request r = a_request(NULL, NULL);
    struct urd_caps_token *t = minted("root", 1, PREDICATES("x\n\x1b[31m"));
    struct answer a = ask(t, NULL, &r);
    assert_int_equal(a.err, URD_E_DENIED);
    for (const char *c = a.refusal.message; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caveats_that_hold_pass_and_others_say_their_kind),
        cmocka_unit_test(a_strange_token_is_refused_before_its_caveats),
        cmocka_unit_test(a_request_with_a_crooked_name_is_invalid),
        cmocka_unit_test(freshness_is_asked_of_the_token_and_of_the_operator),
        cmocka_unit_test(what_was_revoked_is_refused_as_revoked),
        cmocka_unit_test(a_third_party_caveat_needs_its_discharge),
        cmocka_unit_test(a_grant_holds_what_the_chain_said),
        cmocka_unit_test(budgets_belong_to_one_caveat_of_one_chain),
        cmocka_unit_test(more_than_is_looked_at_is_refused_by_its_limit),
        cmocka_unit_test(hostile_patterns_cost_no_more_than_the_bound),
        cmocka_unit_test(the_log_gets_no_raw_bytes),
    };
    return RUN("verify", tests);
}
