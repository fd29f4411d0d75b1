/* Sealed datagrams: only the peer, only once, only for this session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "fountain/transfer/datagram.h"

static struct urd_fountain_agreement agreement(bool aes)
{
    assert_true(sodium_init() >= 0);
    struct urd_fountain_agreement a = { .id = 0x1122334455667788, .aes = aes };
    memset(a.secret, 7, sizeof a.secret);
    return a;
}

static bool aes_here(void)
{
    return sodium_init() >= 0 && crypto_aead_aes256gcm_is_available();
}

struct ends {
    struct urd_fountain_sealer sealer;
    struct urd_fountain_opener opener;
};

static void ends_init(struct ends *e, bool aes)
{
    struct urd_fountain_agreement a = agreement(aes);
    assert_int_equal(urd_fountain_sealer_init(&e->sealer, &a, URD_FOUNTAIN_TO_RECEIVER), URD_OK);
    assert_int_equal(urd_fountain_opener_init(&e->opener, &a, URD_FOUNTAIN_TO_RECEIVER), URD_OK);
}

static size_t seal(struct ends *e, const char *text, uint8_t *datagram)
{
    size_t len = strlen(text);
    memcpy(datagram + URD_FOUNTAIN_HEADER_LEN, text, len);
    return urd_fountain_seal(&e->sealer, 99, datagram, len);
}

static void what_is_sealed_opens_once(void **state)
{
    (void)state;
    for (int aes = 0; aes <= aes_here(); aes++) {
        struct ends e;
        ends_init(&e, aes);
        uint8_t d[URD_FOUNTAIN_DATAGRAM_MAX], copy[sizeof d];
        size_t len = seal(&e, "hello", d);
        assert_int_equal(len, URD_FOUNTAIN_SEAL_LEN + 5);
        memcpy(copy, d, len);
        struct urd_fountain_opened o;
        assert_int_equal(urd_fountain_open(&e.opener, d, len, &o), URD_OK);
        assert_int_equal(o.payload_len, 5);
        assert_memory_equal(o.payload, "hello", 5);
        assert_int_equal(o.time_us, 99);
        assert_true(o.newest);
        assert_int_equal(urd_fountain_open(&e.opener, copy, len, &o), URD_E_EXISTS);
        assert_int_equal(e.opener.accepted, 1);
    }
}

static void a_changed_bit_anywhere_opens_nothing(void **state)
{
    (void)state;
    for (int aes = 0; aes <= aes_here(); aes++) {
        struct ends e;
        ends_init(&e, aes);
        uint8_t d[URD_FOUNTAIN_DATAGRAM_MAX], copy[sizeof d];
        size_t len = seal(&e, "payload", d);
        struct urd_fountain_opened o;
        for (size_t bit = 0; bit < len * 8; bit++) {
            memcpy(copy, d, len);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(urd_fountain_open(&e.opener, copy, len, &o), URD_OK);
        }
        assert_int_equal(e.opener.accepted, 0);
        assert_int_equal(e.opener.next, 0);
        assert_int_equal(urd_fountain_open(&e.opener, d, len, &o), URD_OK);
    }
}

static void another_direction_session_or_secret_opens_nothing(void **state)
{
    (void)state;
    struct ends e;
    ends_init(&e, false);
    uint8_t d[URD_FOUNTAIN_DATAGRAM_MAX], copy[sizeof d];
    size_t len = seal(&e, "x", d);
    for (int what = 0; what < 3; what++) {
        struct urd_fountain_agreement a = agreement(false);
        a.id += what == 1;
        a.secret[63] ^= what == 2;
        struct urd_fountain_opener other;
        assert_int_equal(
            urd_fountain_opener_init(&other, &a,
                                     what == 0 ? URD_FOUNTAIN_TO_SENDER : URD_FOUNTAIN_TO_RECEIVER),
            URD_OK);
        memcpy(copy, d, len);
        struct urd_fountain_opened o;
        assert_int_not_equal(urd_fountain_open(&other, copy, len, &o), URD_OK);
    }
}

static void late_datagrams_open_within_the_window_only(void **state)
{
    (void)state;
    struct ends e;
    ends_init(&e, false);
    enum { COUNT = URD_FOUNTAIN_REPLAY_WINDOW + 3 };
    uint8_t(*d)[64] = calloc(COUNT, sizeof *d);
    size_t len = 0;
    for (unsigned i = 0; i < COUNT; i++)
        len = seal(&e, "x", d[i]);
    struct urd_fountain_opened o;
    assert_int_equal(urd_fountain_open(&e.opener, d[COUNT - 1], len, &o), URD_OK);
    assert_int_equal(urd_fountain_open(&e.opener, d[2], len, &o), URD_E_EXISTS); /* too old */
    assert_int_equal(urd_fountain_open(&e.opener, d[3], len, &o), URD_OK);
    assert_false(o.newest);
    for (unsigned i = 4; i < COUNT - 1; i++)
        assert_int_equal(urd_fountain_open(&e.opener, d[i], len, &o), URD_OK);
    assert_int_equal(e.opener.accepted, COUNT - 3);
    free(d);
}

static void epochs_change_keys_and_keep_order(void **state)
{
    (void)state;
    struct ends e;
    ends_init(&e, false);
    uint8_t a[64], b[64], c[64];
    struct urd_fountain_opened o;
    e.sealer.next = URD_FOUNTAIN_EPOCH_DATAGRAMS - 1;
    size_t len = seal(&e, "a", a);
    (void)seal(&e, "b", b);
    assert_int_equal(b[11], 1); /* epoch 1, number 0 */
    assert_int_equal(b[15], 0);
    assert_int_equal(urd_fountain_open(&e.opener, b, len, &o), URD_OK);
    assert_int_equal(o.number, URD_FOUNTAIN_EPOCH_DATAGRAMS);
    assert_int_equal(urd_fountain_open(&e.opener, a, len, &o), URD_OK); /* the epoch before */
    e.sealer.next = 4 * URD_FOUNTAIN_EPOCH_DATAGRAMS;
    (void)seal(&e, "c", c);
    assert_int_equal(urd_fountain_open(&e.opener, c, len, &o), URD_E_INVALID); /* too far ahead */
    e.sealer.next = 2 * URD_FOUNTAIN_EPOCH_DATAGRAMS;
    (void)seal(&e, "c", c);
    assert_int_equal(urd_fountain_open(&e.opener, c, len, &o), URD_OK);
}

static void too_many_failed_opens_end_the_session(void **state)
{
    (void)state;
    struct ends e;
    ends_init(&e, false);
    uint8_t d[64];
    size_t len = seal(&e, "x", d);
    struct urd_fountain_opened o;
    e.opener.failed = URD_FOUNTAIN_FAILED_OPENS_MAX - 1;
    d[len - 1] ^= 1;
    assert_int_equal(urd_fountain_open(&e.opener, d, len, &o), URD_E_CORRUPT);
    len = seal(&e, "x", d);
    assert_int_equal(urd_fountain_open(&e.opener, d, len, &o), URD_E_CLOSED);
}

static void messages_survive_the_way(void **state)
{
    (void)state;
    uint8_t bytes[URD_FOUNTAIN_PAYLOAD_MAX];
    struct urd_fountain_message in = { .type = URD_FOUNTAIN_MESSAGE_DATA,
                                       .symbols_count = 1,
                                       .part = 0x01020304,
                                       .sbn = 203,
                                       .esi = 0xfffffe },
                                out;
    size_t len = urd_fountain_message_encode(&in, bytes);
    memset(bytes + len, 5, 128);
    assert_int_equal(urd_fountain_message_decode(bytes, len + 128, 128, &out), URD_OK);
    assert_int_equal(out.part, in.part);
    assert_int_equal(out.sbn, in.sbn);
    assert_int_equal(out.esi, in.esi);
    assert_ptr_equal(out.symbols, bytes + len);
    assert_int_equal(urd_fountain_message_decode(bytes, len + 127, 128, &out), URD_E_INVALID);
    assert_int_equal(urd_fountain_message_decode(bytes, len + 128, 0, &out), URD_E_INVALID);
    bytes[1] = 2; /* two symbols would pass the last ESI */
    bytes[11] = 0xff;
    assert_int_equal(urd_fountain_message_decode(bytes, len + 256, 128, &out), URD_E_INVALID);

    in = (struct urd_fountain_message){ .type = URD_FOUNTAIN_MESSAGE_CLOSE,
                                        .close = URD_E_STORAGE_FULL };
    len = urd_fountain_message_encode(&in, bytes);
    assert_int_equal(urd_fountain_message_decode(bytes, len, 0, &out), URD_OK);
    assert_int_equal(out.close, URD_E_STORAGE_FULL);
    bytes[len - 1] = 'X'; /* a code of the future */
    assert_int_equal(urd_fountain_message_decode(bytes, len, 0, &out), URD_OK);
    assert_int_equal(out.close, URD_E_FAILED);
    uint8_t digests[2][32] = { { 1 }, { 2 } };
    in = (struct urd_fountain_message){ .type = URD_FOUNTAIN_MESSAGE_DIGESTS,
                                        .digests_first = 9,
                                        .digests_count = 2,
                                        .digests = digests[0] };
    len = urd_fountain_message_encode(&in, bytes);
    assert_int_equal(urd_fountain_message_decode(bytes, len, 0, &out), URD_OK);
    assert_int_equal(out.digests_first, 9);
    assert_memory_equal(out.digests, digests, 64);
    assert_int_equal(urd_fountain_message_decode(bytes, len - 1, 0, &out), URD_E_SHORT);
    bytes[0] = 77;
    assert_int_equal(urd_fountain_message_decode(bytes, len, 0, &out), URD_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_once),
        cmocka_unit_test(a_changed_bit_anywhere_opens_nothing),
        cmocka_unit_test(another_direction_session_or_secret_opens_nothing),
        cmocka_unit_test(late_datagrams_open_within_the_window_only),
        cmocka_unit_test(epochs_change_keys_and_keep_order),
        cmocka_unit_test(too_many_failed_opens_end_the_session),
        cmocka_unit_test(messages_survive_the_way),
    };
    return cmocka_run_group_tests_name("fountain/transfer/datagram", tests, NULL, NULL);
}
