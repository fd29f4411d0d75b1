/* The identifier: exact bytes, both ways, and handles. */
#include "tests/unit/caps/fixture.h"

static void an_identifier_reads_back_as_written(void **state)
{
    (void)state;
    struct urd_caps_identifier id = identifier_of(0xab), back;
    uint8_t bytes[URD_CAPS_IDENTIFIER_BYTES_MAX];
    size_t len;
    strcpy(id.node, "node-7.example");
    assert_ok(urd_caps_identifier_encode(&id, bytes, &len));
    assert_int_equal(len, 1 + 8 + 16 + 8 + 1 + 14);
    assert_int_equal(bytes[0], 1);
    assert_ok(urd_caps_identifier_decode(bytes, len, &back));
    assert_memory_equal(back.root_key_id, id.root_key_id, 8);
    assert_memory_equal(back.token_id, id.token_id, 16);
    assert_int_equal(back.issued_at_s, id.issued_at_s);
    assert_string_equal(back.node, "node-7.example");
}

static void whatever_else_is_refused(void **state)
{
    (void)state;
    struct urd_caps_identifier id = identifier_of(1), back;
    uint8_t bytes[URD_CAPS_IDENTIFIER_BYTES_MAX + 1] = { 0 };
    size_t len;
    assert_ok(urd_caps_identifier_encode(&id, bytes, &len));
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(urd_caps_identifier_decode(bytes, cut, &back), URD_E_INVALID);
    assert_int_equal(urd_caps_identifier_decode(bytes, len + 1, &back), URD_E_INVALID);
    bytes[0] = 2;
    assert_int_equal(urd_caps_identifier_decode(bytes, len, &back), URD_E_VERSION);
    bytes[0] = 1;
    bytes[len - 1] = '/';
    assert_int_equal(urd_caps_identifier_decode(bytes, len, &back), URD_E_INVALID);
    bytes[len - 1] = 'a';
    bytes[25] = 0x80; /* issued long after the year 9999 */
    assert_int_equal(urd_caps_identifier_decode(bytes, len, &back), URD_E_INVALID);
}

static void a_node_has_a_plain_name(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'n', 64);
    longest[64] = '\0';
    assert_false(urd_caps_node_name_ok(longest));
    longest[63] = '\0';
    assert_true(urd_caps_node_name_ok(longest));
    assert_true(urd_caps_node_name_ok("a"));
    assert_false(urd_caps_node_name_ok(""));
    assert_false(urd_caps_node_name_ok("a b"));
    assert_false(urd_caps_node_name_ok("a/b"));

    struct urd_caps_identifier id = identifier_of(1);
    uint8_t bytes[URD_CAPS_IDENTIFIER_BYTES_MAX];
    size_t len;
    id.node[0] = '\0';
    assert_int_equal(urd_caps_identifier_encode(&id, bytes, &len), URD_E_INVALID);
    id = identifier_of(1);
    id.issued_at_s = -1;
    assert_int_equal(urd_caps_identifier_encode(&id, bytes, &len), URD_E_INVALID);
}

static void a_handle_reads_back_as_written(void **state)
{
    (void)state;
    uint8_t token_id[16], link[16], got_token[16], got_link[16];
    char text[URD_CAPS_HANDLE_TEXT_BYTES];
    bool has_link;
    memset(token_id, 0xa1, 16);
    memset(link, 0x0b, 16);
    urd_caps_handle_format(token_id, NULL, text);
    assert_string_equal(text, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");
    assert_ok(urd_caps_handle_parse(text, got_token, got_link, &has_link));
    assert_false(has_link);
    assert_memory_equal(got_token, token_id, 16);
    urd_caps_handle_format(token_id, link, text);
    assert_string_equal(text, "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1/0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    assert_ok(urd_caps_handle_parse(text, got_token, got_link, &has_link));
    assert_true(has_link);
    assert_memory_equal(got_link, link, 16);

    text[32] = '-';
    assert_int_equal(urd_caps_handle_parse(text, got_token, got_link, &has_link), URD_E_INVALID);
    assert_int_equal(urd_caps_handle_parse("A1", got_token, got_link, &has_link), URD_E_INVALID);
    assert_int_equal(
        urd_caps_handle_parse("A1A1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", got_token, got_link, &has_link),
        URD_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identifier_reads_back_as_written),
        cmocka_unit_test(whatever_else_is_refused),
        cmocka_unit_test(a_node_has_a_plain_name),
        cmocka_unit_test(a_handle_reads_back_as_written),
    };
    return RUN("identifier", tests);
}
