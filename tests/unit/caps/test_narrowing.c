/* The promise of it all, over random tokens and requests: adding a caveat never allows more, a
 * token put together without the chain never passes, and a grant never allows what a verification
 * would refuse. */
#include "tests/unit/caps/world.h"

static uint64_t seed = 20300101;

static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static const char *const actions[] = { "saga.submit", "saga.cancel", "file.send", "step.Reserve" };
static const char *const resources[] = { "saga/trip", "saga/a/b", "file/b/x", "do/hotel.hold" };
static const char *const caveats[] = {
    "time < 2030-01-01T00:00:01Z",
    "time < 2029-01-01T00:00:00Z",
    "time >= 2030-01-01T00:00:00Z",
    "time >= 2030-02-01T00:00:00Z",
    "region = s1",
    "region = s2",
    "task = hotel",
    "uses <= 3",
    "rate <= 3/1h",
    "action = saga.*",
    "action = **",
    "action = *.submit,step.*",
    "action = file.send",
    "resource = saga/*",
    "resource = **",
    "resource = */*",
    "resource = file/**,do/*",
    "fresh <= 1m",
    "node = b",
    "node = c",
    "link = aa000000000000000000000000000000",
    "nonsense",
    "time < never",
};
#define PICK(list) list[pick(sizeof(list) / sizeof(list)[0])]

static const struct urd_caps_pair pairs[] = { { "node", "b" } };

static struct urd_caps_request random_request(void)
{
    struct urd_caps_request r = a_request(PICK(actions), PICK(resources));
    r.region = pick(2) == 0 ? "s1" : NULL;
    r.task = pick(2) == 0 ? "hotel" : NULL;
    r.pairs = pairs;
    r.pair_count = pick(2);
    r.home_heard_ago_ns = SECONDS(pick(2) == 0 ? 0 : 3600);
    return r;
}

static struct urd_caps_token *random_token(void)
{
    struct urd_caps_token *t = minted("root", 1, NULL);
    for (unsigned n = pick(5); n > 0; n--)
        assert_ok(urd_caps_token_add_first_party(t, text_bytes(PICK(caveats))));
    return t;
}

static void adding_a_caveat_never_allows_more(void **state)
{
    (void)state;
    unsigned both = 0, narrowed = 0;
    for (int i = 0; i < 20000; i++) {
        struct urd_caps_token *parent = random_token(), *child;
        assert_ok(urd_caps_token_clone(parent, &child));
        assert_ok(urd_caps_token_add_first_party(child, text_bytes(PICK(caveats))));
        struct urd_caps_request r = random_request();
        struct answer wide = ask(parent, NULL, &r), narrow = ask(child, NULL, &r);
        if (narrow.err == URD_OK) assert_ok(wide.err);
        if (narrow.err == URD_OK) { /* and its grant is no wider either */
            for (size_t a = 0; a < 4; a++)
                for (size_t b = 0; b < 4; b++)
                    if (urd_caps_grant_allows(narrow.grant, actions[a], resources[b]))
                        assert_true(urd_caps_grant_allows(wide.grant, actions[a], resources[b]));
            assert_true(urd_caps_grant_expires_s(narrow.grant) <=
                        urd_caps_grant_expires_s(wide.grant));
            assert_true(narrow.spends.count >= wide.spends.count);
            both++;
        }
        if (wide.err == URD_OK && narrow.err != URD_OK) narrowed++;
        urd_caps_grant_free(wide.grant);
        urd_caps_grant_free(narrow.grant);
        urd_caps_token_free(parent);
        urd_caps_token_free(child);
    }
    assert_true(both > 500 && narrowed > 500); /* both ways are reached */
}

/* The grant of one request, asked about another action and resource, agrees with a verification of
 * that other request. */
static void a_grant_allows_what_a_verification_would(void **state)
{
    (void)state;
    unsigned allowed = 0, denied = 0;
    for (int i = 0; i < 20000; i++) {
        struct urd_caps_token *t = random_token();
        struct urd_caps_request r = random_request(), other = r;
        other.action = PICK(actions);
        other.resource = PICK(resources);
        struct answer a = ask(t, NULL, &r);
        if (a.err == URD_OK) {
            struct answer b = ask(t, NULL, &other);
            bool allows = urd_caps_grant_allows(a.grant, other.action, other.resource);
            assert_int_equal(allows, b.err == URD_OK);
            allows ? allowed++ : denied++;
            urd_caps_grant_free(b.grant);
        }
        urd_caps_grant_free(a.grant);
        urd_caps_token_free(t);
    }
    assert_true(allowed > 500 && denied > 500);
}

/* Take a token's bytes and flip one bit anywhere: it does not parse, or does not verify, or the bit
 * was in the location, which is only a hint. */
static void no_flipped_bit_passes(void **state)
{
    (void)state;
    struct urd_caps_token *t = minted("root", 1, PREDICATES("action = saga.*", "resource = **"));
    struct urd_caps_request r = a_request("saga.submit", "saga/trip");
    char *text;
    uint8_t bytes[512];
    size_t len;
    assert_ok(urd_caps_token_to_text(t, &text));
    assert_ok(urd_caps_base64_decode(text, strlen(text), bytes, &len));
    for (size_t bit = 0; bit < 8 * len; bit++) {
        struct urd_caps_bundle bundle;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (urd_caps_bundle_decode(bytes, len, &bundle) == URD_OK) {
            struct answer a = ask_with(&bundle, NULL, &r);
            bool in_location = bit / 8 >= 3 && bit / 8 < 6; /* "urd" after 02 01 03 */
            assert_int_equal(a.err == URD_OK, in_location);
            urd_caps_grant_free(a.grant);
            urd_caps_bundle_done(&bundle);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(text);
    urd_caps_token_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_a_caveat_never_allows_more),
        cmocka_unit_test(a_grant_allows_what_a_verification_would),
        cmocka_unit_test(no_flipped_bit_passes),
    };
    return RUN("narrowing", tests);
}
