/* The invite line: it reads back, and any slip of the hand is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/invite.h"

static struct node_invite sample(void)
{
    struct node_invite invite = { .ca = true,
                                  .expires_s = 1767225600,
                                  .inviter = "a",
                                  .url = "tls+tcp://10.0.0.1:7000",
                                  .cluster = "urd",
                                  .name = "b",
                                  .ca_der_len = 600 };
    memset(invite.id, 1, sizeof invite.id);
    memset(invite.secret, 2, sizeof invite.secret);
    memset(invite.ca_der, 3, invite.ca_der_len);
    return invite;
}

static void an_invite_reads_back(void **state)
{
    (void)state;
    struct node_invite invite = sample(), back;
    char text[NODE_INVITE_TEXT_MAX], padded[NODE_INVITE_TEXT_MAX + 8] = " \n";
    assert_int_equal(node_invite_encode(&invite, text), URD_OK);
    assert_null(strchr(text, '\n'));
    strcat(strcat(padded, text), "\n");
    memset(&back, 0, sizeof back);
    assert_int_equal(node_invite_decode(padded, strlen(padded), &back, NULL, 0), URD_OK);
    assert_memory_equal(&back, &invite, sizeof invite);
}

static void any_letter_changed_or_cut_is_noticed(void **state)
{
    (void)state;
    struct node_invite invite = sample(), back;
    char text[NODE_INVITE_TEXT_MAX];
    assert_int_equal(node_invite_encode(&invite, text), URD_OK);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        assert_int_not_equal(node_invite_decode(text, len, &back, NULL, 0), URD_OK);
        text[i] = kept;
        assert_int_not_equal(node_invite_decode(text, i, &back, NULL, 0), URD_OK);
    }
    assert_int_equal(node_invite_decode(text, len, &back, NULL, 0), URD_OK);
}

static void an_invite_of_nonsense_is_not_written(void **state)
{
    (void)state;
    char text[NODE_INVITE_TEXT_MAX];
    struct node_invite invite = sample();
    strcpy(invite.url, "tcp://10.0.0.1:7000"); /* no TLS off the loopback */
    assert_int_equal(node_invite_encode(&invite, text), URD_E_INVALID);
    invite = sample();
    invite.ca_der_len = 0;
    assert_int_equal(node_invite_encode(&invite, text), URD_E_INVALID);
}

static void the_hash_does_not_give_the_secret_away(void **state)
{
    (void)state;
    struct node_invite invite = sample();
    uint8_t hash[NODE_INVITE_HASH_BYTES], again[NODE_INVITE_HASH_BYTES];
    node_invite_hash(invite.secret, hash);
    node_invite_hash(invite.secret, again);
    assert_memory_equal(hash, again, sizeof hash);
    assert_memory_not_equal(hash, invite.secret, sizeof hash);
    invite.secret[0] ^= 1;
    node_invite_hash(invite.secret, again);
    assert_memory_not_equal(hash, again, sizeof hash);
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_invite_reads_back),
        cmocka_unit_test(any_letter_changed_or_cut_is_noticed),
        cmocka_unit_test(an_invite_of_nonsense_is_not_written),
        cmocka_unit_test(the_hash_does_not_give_the_secret_away),
    };
    return cmocka_run_group_tests_name("node/invite", tests, NULL, NULL);
}
