/* Certificates: what the CA made is accepted under its name alone; anything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/identity.h"

static int fill(void *arg, unsigned char *ret, size_t len)
{
    (void)arg;
    randombytes_buf(ret, len);
    return 0;
}
static const struct node_identity_random rng = { fill, NULL };
#define NOW INT64_C(1767225600) /* 2026-01-01 */

struct world {
    char *ca_key, *ca, *key;
    uint8_t *csr;
    size_t csr_len;
};

static int setup(void **state)
{
    static struct world w;
    assert_int_equal(node_identity_key_new(&rng, &w.ca_key), URD_OK);
    assert_int_equal(node_identity_ca_new(&rng, "urd", w.ca_key, NOW, &w.ca, NULL, 0), URD_OK);
    assert_int_equal(node_identity_key_new(&rng, &w.key), URD_OK);
    assert_int_equal(node_identity_csr(&rng, "a", w.key, &w.csr, &w.csr_len, NULL, 0), URD_OK);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    node_secret_free(w->ca_key);
    node_secret_free(w->key);
    free(w->ca);
    free(w->csr);
    return 0;
}

static void a_certificate_is_good_for_its_name_key_and_ca_alone(void **state)
{
    struct world *w = *state;
    char *cert = NULL, *other_key = NULL, *other_ca = NULL, why[256] = "";
    assert_int_equal(node_identity_certify(&rng, w->ca, w->ca_key, w->csr, w->csr_len, "a", NOW,
                                           &cert, why, sizeof why),
                     URD_OK);
    int64_t from = 0, to = 0;
    if (node_identity_check(cert, w->key, w->ca, "a", &from, &to, why, sizeof why) != URD_OK)
        fail_msg("%s", why);
    assert_int_equal(from, NOW - 86400); /* a day back: clocks differ */
    assert_int_equal(to, NOW + NODE_CERT_DAYS * 86400);

    assert_int_equal(node_identity_check(cert, w->key, w->ca, "b", NULL, NULL, why, sizeof why),
                     URD_E_DENIED);
    assert_int_equal(node_identity_key_new(&rng, &other_key), URD_OK);
    assert_int_equal(node_identity_check(cert, other_key, w->ca, "a", NULL, NULL, why, sizeof why),
                     URD_E_DENIED);
    assert_int_equal(node_identity_ca_new(&rng, "urd", other_key, NOW, &other_ca, NULL, 0), URD_OK);
    assert_int_equal(node_identity_check(cert, w->key, other_ca, "a", NULL, NULL, why, sizeof why),
                     URD_E_DENIED);
    free(cert);
    free(other_ca);
    node_secret_free(other_key);
}

static void a_request_for_another_name_is_refused(void **state)
{
    struct world *w = *state;
    char *cert = NULL;
    assert_int_equal(
        node_identity_certify(&rng, w->ca, w->ca_key, w->csr, w->csr_len, "b", NOW, &cert, NULL, 0),
        URD_E_DENIED);
    assert_null(cert);
}

static void a_request_that_was_touched_is_refused(void **state)
{
    struct world *w = *state;
    uint8_t *bad = malloc(w->csr_len);
    for (size_t i = 0; i < w->csr_len; i++) {
        memcpy(bad, w->csr, w->csr_len);
        bad[i] ^= 0x01;
        char *cert = NULL;
        urd_err err = node_identity_certify(&rng, w->ca, w->ca_key, bad, w->csr_len, "a", NOW,
                                            &cert, NULL, 0);
        assert_true(err == URD_E_DENIED || err == URD_E_INVALID);
        assert_null(cert);
        i += 6; /* every seventh byte: a signature is checked each time */
    }
    free(bad);
}

static void der_and_pem_are_the_same_thing(void **state)
{
    struct world *w = *state;
    uint8_t *der = NULL, print[NODE_FINGERPRINT_BYTES], again[NODE_FINGERPRINT_BYTES];
    size_t der_len = 0;
    char *pem = NULL;
    assert_int_equal(node_identity_cert_to_der(w->ca, &der, &der_len), URD_OK);
    assert_int_equal(node_identity_cert_from_der(der, der_len, &pem), URD_OK);
    assert_string_equal(pem, w->ca);
    assert_int_equal(node_identity_fingerprint(w->ca, print), URD_OK);
    crypto_hash_sha256(again, der, der_len);
    assert_memory_equal(print, again, sizeof print);
    free(pem);
    free(der);

    assert_int_equal(node_identity_key_to_der(w->ca_key, &der, &der_len), URD_OK);
    assert_int_equal(node_identity_key_from_der(der, der_len, &pem), URD_OK);
    assert_string_equal(pem, w->ca_key);
    free(der);
    node_secret_free(pem);
}

static void names_that_would_change_the_subject_are_refused(void **state)
{
    struct world *w = *state;
    uint8_t *der = NULL;
    size_t der_len = 0;
    assert_int_equal(node_identity_csr(&rng, "a,CN=b", w->key, &der, &der_len, NULL, 0),
                     URD_E_INVALID);
    assert_int_equal(node_identity_csr(&rng, "", w->key, &der, &der_len, NULL, 0), URD_E_INVALID);
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_good_for_its_name_key_and_ca_alone),
        cmocka_unit_test(a_request_for_another_name_is_refused),
        cmocka_unit_test(a_request_that_was_touched_is_refused),
        cmocka_unit_test(der_and_pem_are_the_same_thing),
        cmocka_unit_test(names_that_would_change_the_subject_are_refused),
    };
    return cmocka_run_group_tests_name("node/identity", tests, setup, teardown);
}
