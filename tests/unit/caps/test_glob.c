/* Names and patterns: canonical form, and a matcher that agrees with the plain definition. */
#include "tests/unit/caps/fixture.h"

#include <time.h>

#include "caps/glob.h"

static bool name_ok(enum urd_caps_glob_kind kind, const char *text)
{
    return urd_caps_name_ok(kind, text, strlen(text));
}

static bool match(const char *pattern, const char *name)
{
    assert_true(urd_caps_glob_ok(URD_CAPS_GLOB_RESOURCE, pattern, strlen(pattern)));
    assert_true(name_ok(URD_CAPS_GLOB_RESOURCE, name));
    return urd_caps_glob_match(URD_CAPS_GLOB_RESOURCE, pattern, strlen(pattern), name,
                               strlen(name));
}

static bool match_action(const char *pattern, const char *name)
{
    assert_true(urd_caps_glob_ok(URD_CAPS_GLOB_ACTION, pattern, strlen(pattern)));
    return urd_caps_glob_match(URD_CAPS_GLOB_ACTION, pattern, strlen(pattern), name, strlen(name));
}

static void a_resource_has_one_canonical_form(void **state)
{
    (void)state;
    static const char *const good[] = { "saga/book-trip", "a",      "file/b/in/a%20b.bin",
                                        "a/...",          "a/.b",   "x_y",
                                        "a%2Fb",          "%00/%FF" };
    static const char *const bad[] = { "",      "/",   "/a",   "a/",   "a//b",     ".",
                                       "..",    "a/.", "a/..", "../a", "a/./b",    "a b",
                                       "a%2fb", "a%",  "a%2",  "a%41", "a%2E",     "a%zz",
                                       "a*",    "**",  "a,b",  "a\\b", "\xc3\xa4", "a?b" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(name_ok(URD_CAPS_GLOB_RESOURCE, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(name_ok(URD_CAPS_GLOB_RESOURCE, bad[i]));
    assert_true(name_ok(URD_CAPS_GLOB_ACTION, "saga.submit"));
    assert_false(name_ok(URD_CAPS_GLOB_ACTION, "saga..submit"));
    assert_false(name_ok(URD_CAPS_GLOB_ACTION, "saga/submit"));
    assert_false(name_ok(URD_CAPS_GLOB_ACTION, "a%20b"));
}

static void a_pattern_is_checked_before_it_is_used(void **state)
{
    (void)state;
    static const char *const good[] = { "*", "**", "a/**/b", "a*b*/c", "**/**/**/**", "%20*" };
    static const char *const bad[] = { "",    "a**",  "**a", "***", "a//*", "**/**/**/**/**",
                                       "a/.", "%2*0", "a,b", "a/",  "?",    "[a]" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(urd_caps_glob_ok(URD_CAPS_GLOB_RESOURCE, good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(urd_caps_glob_ok(URD_CAPS_GLOB_RESOURCE, bad[i], strlen(bad[i])));
    assert_true(urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, "a,b/*,**", 8));
    assert_false(urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, "a,,b", 4));
    assert_false(urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, "a,", 2));
    assert_false(urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, ",a", 2));
    assert_false(urd_caps_glob_list_ok(URD_CAPS_GLOB_RESOURCE, "a, b", 4));
}

static void stars_stand_for_what_they_should(void **state)
{
    (void)state;
    assert_true(match("saga/*", "saga/book"));
    assert_false(match("saga/*", "saga/book/x"));
    assert_false(match("saga/*", "saga"));
    assert_true(match("saga/**", "saga"));
    assert_true(match("saga/**", "saga/a/b/c"));
    assert_true(match("**/c", "a/b/c"));
    assert_true(match("**/c", "c"));
    assert_false(match("**/c", "a/c/b"));
    assert_true(match("a/**/b", "a/b"));
    assert_true(match("a/**/b/**/c", "a/b/x/b/y/c"));
    assert_true(match("f*o*o", "fooooo"));
    assert_true(match("*a", "aaa"));
    assert_false(match("book", "books"));
    assert_false(match("books", "book"));
    assert_true(match("in*", "in"));
    assert_true(match_action("saga.*", "saga.submit"));
    assert_false(match_action("saga.*", "sagas.submit"));
    assert_false(match_action("saga.*", "saga"));
    assert_true(match_action("**", "cap.mint"));
}

static void a_star_never_splits_an_escape(void **state)
{
    (void)state;
    assert_false(match("a*F", "a%2F"));
    assert_false(match("a*2F", "a%2F"));
    assert_true(match("a*", "a%2F"));
    assert_true(match("*%2Fb", "a%2Fb"));
    assert_false(match("a%2Fb", "a/b"));
}

/* The definition, word for word: slow and plainly right. */
static bool plain_segment(const char *p, size_t pl, const char *n, size_t nl)
{
    if (pl == 0) return nl == 0;
    if (p[0] == '*')
        return plain_segment(p + 1, pl - 1, n, nl) ||
               (nl > 0 && plain_segment(p, pl, n + 1, nl - 1));
    return nl > 0 && p[0] == n[0] && plain_segment(p + 1, pl - 1, n + 1, nl - 1);
}

static bool plain_match(const char *p, const char *n) /* NULL: nothing is left */
{
    if (p == NULL) return n == NULL;
    size_t pl = strcspn(p, "/");
    const char *pn = p[pl] == '\0' ? NULL : p + pl + 1;
    bool stars = pl == 2 && p[0] == '*' && p[1] == '*';
    if (stars && plain_match(pn, n)) return true;
    if (n == NULL) return false;
    size_t nl = strcspn(n, "/");
    const char *nn = n[nl] == '\0' ? NULL : n + nl + 1;
    if (stars) return plain_match(p, nn);
    return plain_segment(p, pl, n, nl) && plain_match(pn, nn);
}

static uint64_t seed = 1;
static unsigned pick(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void random_text(char *text, const char *const *parts, unsigned part_count,
                        unsigned segments)
{
    text[0] = '\0';
    for (unsigned s = 0; s < segments; s++) {
        if (s > 0) strcat(text, "/");
        unsigned units = 1 + pick(3);
        if (part_count > 2 && pick(4) == 0) {
            strcat(text, "**");
            continue;
        }
        for (unsigned u = 0; u < units; u++) {
            const char *part = parts[pick(part_count)];
            size_t len = strlen(text);
            if (part[0] == '*' && len > 0 && text[len - 1] == '*') part = "a";
            strcat(text, part);
        }
    }
}

static void the_matcher_agrees_with_the_definition(void **state)
{
    (void)state;
    static const char *const name_parts[] = { "a", "b" }, *const glob_parts[] = { "a", "b", "*" };
    unsigned matched = 0;
    for (unsigned i = 0; i < 200000; i++) {
        char pattern[128], name[128];
        random_text(pattern, glob_parts, 3, 1 + pick(5));
        random_text(name, name_parts, 2, 1 + pick(6));
        if (!urd_caps_glob_ok(URD_CAPS_GLOB_RESOURCE, pattern, strlen(pattern))) continue;
        bool want = plain_match(pattern, name);
        if (match(pattern, name) != want) fail_msg("%s %s", pattern, name);
        matched += want;
    }
    assert_true(matched > 10000); /* both answers are reached */
}

static void a_hostile_pattern_costs_no_more_than_its_size(void **state)
{
    (void)state;
    char pattern[URD_CAPS_RESOURCE_BYTES_MAX + 1], name[URD_CAPS_RESOURCE_BYTES_MAX + 1];
    memset(pattern, 'a',
           sizeof pattern - 1); /* *aaa...b: tried from every place, almost to its end */
    pattern[0] = '*';
    pattern[sizeof pattern / 2] = 'b';
    pattern[sizeof pattern / 2 + 1] = '\0';
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    clock_t start = clock();
    for (int i = 0; i < 10; i++)
        assert_false(match(pattern, name));
    /* and stars upon stars, where going back to any but the last would take for ever */
    for (size_t i = 0; i + 1 < sizeof pattern / 2; i += 2)
        pattern[i] = '*';
    assert_false(match(pattern, name));
    assert_false(
        match("**/*a/**/*a/**/*a/**/*b", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"));
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

static void a_segment_is_appended_in_canonical_form(void **state)
{
    (void)state;
    char text[64] = "";
    assert_ok(urd_caps_resource_append(text, sizeof text, (const uint8_t *)"file", 4));
    assert_ok(urd_caps_resource_append(text, sizeof text, (const uint8_t *)"a b/\xc3\xa4.x", 8));
    assert_string_equal(text, "file/a%20b%2F%C3%A4.x");
    assert_true(name_ok(URD_CAPS_GLOB_RESOURCE, text));
    assert_int_equal(urd_caps_resource_append(text, sizeof text, (const uint8_t *)"..", 2),
                     URD_E_INVALID);
    assert_int_equal(urd_caps_resource_append(text, sizeof text, (const uint8_t *)"", 0),
                     URD_E_INVALID);
    uint8_t many[64] = { 0 };
    assert_int_equal(urd_caps_resource_append(text, sizeof text, many, sizeof many), URD_E_TOO_BIG);
    assert_int_equal(urd_caps_resource_append(text, strlen(text) + 2, (const uint8_t *)"x", 1),
                     URD_E_TOO_BIG);
    assert_string_equal(text, "file/a%20b%2F%C3%A4.x");
    assert_ok(urd_caps_resource_append(text, strlen(text) + 3, (const uint8_t *)"x", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_has_one_canonical_form),
        cmocka_unit_test(a_pattern_is_checked_before_it_is_used),
        cmocka_unit_test(stars_stand_for_what_they_should),
        cmocka_unit_test(a_star_never_splits_an_escape),
        cmocka_unit_test(the_matcher_agrees_with_the_definition),
        cmocka_unit_test(a_hostile_pattern_costs_no_more_than_its_size),
        cmocka_unit_test(a_segment_is_appended_in_canonical_form),
    };
    return RUN("glob", tests);
}
