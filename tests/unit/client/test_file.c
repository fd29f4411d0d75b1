/* Places on nodes, as they are typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/file_internal.h"

static struct client_place_names place;
static char why[URD_CLIENT_ERRMSG_MAX];

static void a_place_is_nodes_and_a_path(void **state)
{
    (void)state;
    assert_int_equal(client_file_place("b,c:/in/x.tar", &place, why), URD_OK);
    assert_int_equal(place.nodes_count, 2);
    assert_string_equal(place.nodes[0], "b");
    assert_string_equal(place.nodes[1], "c");
    assert_string_equal(place.path, "in/x.tar");
    assert_false(place.is_directory);
}

static void a_slash_at_the_end_says_directory(void **state)
{
    (void)state;
    assert_int_equal(client_file_place("b:/in//deep/", &place, why), URD_OK);
    assert_string_equal(place.path, "in/deep");
    assert_true(place.is_directory);
    assert_int_equal(client_file_place("b:/", &place, why), URD_OK);
    assert_string_equal(place.path, "");
    assert_true(place.is_directory);
}

static void a_colon_in_the_path_is_part_of_it(void **state)
{
    (void)state;
    assert_int_equal(client_file_place("b:/a:b,c", &place, why), URD_OK);
    assert_int_equal(place.nodes_count, 1);
    assert_string_equal(place.path, "a:b,c");
}

static void what_is_no_place_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",       "b",       "b:",         "b:x",     ":/x",
                                       "b,:/x",  ",b:/x",   "b,b:/x",     "b:/../x", "b:/a/../x",
                                       "b:/./x", "b,,c:/x", "/path/only", "b:/x/.." };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        assert_int_equal(client_file_place(bad[i], &place, why), URD_E_INVALID);
        assert_true(why[0] != '\0');
    }
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[NODE_PATH_BYTES_MAX + 16];
    memset(text, 'n', sizeof text);
    memcpy(text + 64, ":/x", 4);
    assert_int_equal(client_file_place(text, &place, why), URD_E_INVALID); /* a name of 64 */
    memset(text, 'n', sizeof text);
    memcpy(text, "b:/", 3);
    text[sizeof text - 1] = '\0';
    assert_int_equal(client_file_place(text, &place, why), URD_E_INVALID);

    char many[2 * (URD_FILE_TARGETS_MAX + 1) + 3]; /* one name more than may be */
    for (unsigned i = 0; i <= URD_FILE_TARGETS_MAX; i++) {
        many[2 * i] = (char)('a' + i);
        many[2 * i + 1] = ',';
    }
    memcpy(many + 2 * URD_FILE_TARGETS_MAX + 1, ":/", 3);
    assert_int_equal(client_file_place(many, &place, why), URD_E_TOO_BIG);
}

static void a_transfer_is_known_by_what_and_where(void **state)
{
    (void)state;
    uint8_t id[NODE_ID_BYTES];
    char one[33], again[33], elsewhere[33], other[33];
    const uint8_t manifest[] = "manifest";
    client_transfer_id(manifest, sizeof manifest, "send b:/x", id, one);
    client_transfer_id(manifest, sizeof manifest, "send b:/x", id, again);
    client_transfer_id(manifest, sizeof manifest, "send c:/x", id, elsewhere);
    client_transfer_id(manifest, sizeof manifest - 1, "send b:/x", id, other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, elsewhere);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_nodes_and_a_path),
        cmocka_unit_test(a_slash_at_the_end_says_directory),
        cmocka_unit_test(a_colon_in_the_path_is_part_of_it),
        cmocka_unit_test(what_is_no_place_is_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(a_transfer_is_known_by_what_and_where),
    };
    return cmocka_run_group_tests_name("client/file", tests, NULL, NULL);
}
