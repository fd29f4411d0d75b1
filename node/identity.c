#include "node/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "caps/identifier.h"
#include "node/say_internal.h"

#define PEM_BYTES    8192
#define DER_BYTES    4096
#define SERIAL_BYTES 16
#define DAY_S        INT64_C(86400)

void node_secret_free(char *text)
{
    if (text == NULL) return;
    explicit_bzero(text, strlen(text));
    free(text);
}

static char *copy_text(const unsigned char *text)
{
    return strdup((const char *)text);
}

static urd_err key_parse(const char *pem, mbedtls_pk_context *key)
{
    if (mbedtls_pk_parse_key(key, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0) != 0)
        return URD_E_INVALID;
    return URD_OK;
}

static urd_err cert_parse(const char *pem, mbedtls_x509_crt *cert)
{
    if (mbedtls_x509_crt_parse(cert, (const unsigned char *)pem, strlen(pem) + 1) != 0)
        return URD_E_INVALID;
    return URD_OK;
}

urd_err node_identity_key_new(const struct node_identity_random *random, char **ret_pem)
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    unsigned char pem[PEM_BYTES];
    urd_err err = URD_E_SYSTEM;
    if (mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
        mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), random->fill,
                            random->arg) == 0 &&
        mbedtls_pk_write_key_pem(&key, pem, sizeof pem) == 0) {
        char *text = copy_text(pem);
        err = text != NULL ? URD_OK : URD_E_NOMEM;
        if (text != NULL) *ret_pem = text;
    }
    explicit_bzero(pem, sizeof pem);
    mbedtls_pk_free(&key);
    return err;
}

/* ---- certificates ---- */

static bool time_text(int64_t at_s, char ret[static 16])
{
    time_t at = (time_t)at_s;
    struct tm tm;
    return gmtime_r(&at, &tm) != NULL && strftime(ret, 16, "%Y%m%d%H%M%S", &tm) == 14;
}

/* What is to be written. */
struct certificate {
    const char *subject; /* "CN=..." */
    const char *issuer;
    mbedtls_pk_context *subject_key;
    mbedtls_pk_context *issuer_key;
    int64_t now_s;
    int days;
    bool is_ca;
};

static urd_err write_certificate(const struct node_identity_random *random,
                                 const struct certificate *c, char **ret_pem)
{
    mbedtls_x509write_cert writer;
    mbedtls_mpi serial;
    mbedtls_x509write_crt_init(&writer);
    mbedtls_mpi_init(&serial);
    urd_err err = URD_E_SYSTEM;
    unsigned char bytes[SERIAL_BYTES], pem[PEM_BYTES];
    char from[16], to[16];
    if (random->fill(random->arg, bytes, sizeof bytes) != 0) goto out;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive and of full length */
    if (!time_text(c->now_s - DAY_S, from) || !time_text(c->now_s + c->days * DAY_S, to)) {
        err = URD_E_INVALID;
        goto out;
    }

    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, c->subject_key);
    mbedtls_x509write_crt_set_issuer_key(&writer, c->issuer_key);
    unsigned usage = c->is_ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN
                              : MBEDTLS_X509_KU_DIGITAL_SIGNATURE | MBEDTLS_X509_KU_KEY_AGREEMENT;
    if (mbedtls_mpi_read_binary(&serial, bytes, sizeof bytes) == 0 &&
        mbedtls_x509write_crt_set_serial(&writer, &serial) == 0 &&
        mbedtls_x509write_crt_set_subject_name(&writer, c->subject) == 0 &&
        mbedtls_x509write_crt_set_issuer_name(&writer, c->issuer) == 0 &&
        mbedtls_x509write_crt_set_validity(&writer, from, to) == 0 &&
        mbedtls_x509write_crt_set_basic_constraints(&writer, c->is_ca, c->is_ca ? 0 : -1) == 0 &&
        mbedtls_x509write_crt_set_subject_key_identifier(&writer) == 0 &&
        mbedtls_x509write_crt_set_authority_key_identifier(&writer) == 0 &&
        mbedtls_x509write_crt_set_key_usage(&writer, usage) == 0 &&
        mbedtls_x509write_crt_pem(&writer, pem, sizeof pem, random->fill, random->arg) == 0) {
        char *text = copy_text(pem);
        err = text != NULL ? URD_OK : URD_E_NOMEM;
        if (text != NULL) *ret_pem = text;
    }
out:
    mbedtls_mpi_free(&serial);
    mbedtls_x509write_crt_free(&writer);
    return err;
}

urd_err node_identity_ca_new(const struct node_identity_random *random, const char *cluster,
                             const char *key_pem, int64_t now_s, char **ret_pem, char *errmsg,
                             size_t errmsg_len)
{
    char subject[128];
    if (!urd_caps_node_name_ok(cluster)) {
        node_say(errmsg, errmsg_len, "`%s` is not a cluster's name", cluster);
        return URD_E_INVALID;
    }
    (void)snprintf(subject, sizeof subject, "CN=%s CA,O=Urd", cluster);
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    urd_err err = key_parse(key_pem, &key);
    if (err == URD_OK) {
        const struct certificate c = { subject, subject, &key, &key, now_s, NODE_CA_DAYS, true };
        err = write_certificate(random, &c, ret_pem);
    }
    if (err != URD_OK) node_say(errmsg, errmsg_len, "the CA's certificate could not be made");
    mbedtls_pk_free(&key);
    return err;
}

urd_err node_identity_csr(const struct node_identity_random *random, const char *name,
                          const char *key_pem, uint8_t **ret_der, size_t *ret_der_len, char *errmsg,
                          size_t errmsg_len)
{
    char subject[128];
    if (!urd_caps_node_name_ok(name)) {
        node_say(errmsg, errmsg_len, "`%s` is not a node's name", name);
        return URD_E_INVALID;
    }
    (void)snprintf(subject, sizeof subject, "CN=%s", name);
    mbedtls_pk_context key;
    mbedtls_x509write_csr writer;
    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&writer);
    urd_err err = key_parse(key_pem, &key);
    if (err != URD_OK) goto out;
    mbedtls_x509write_csr_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&writer, &key);
    unsigned char der[DER_BYTES]; /* written at its end */
    err = URD_E_SYSTEM;
    if (mbedtls_x509write_csr_set_subject_name(&writer, subject) != 0) goto out;
    int len = mbedtls_x509write_csr_der(&writer, der, sizeof der, random->fill, random->arg);
    if (len <= 0) goto out;
    err = URD_E_NOMEM;
    uint8_t *copy = malloc((size_t)len);
    if (copy == NULL) goto out;
    memcpy(copy, der + sizeof der - (size_t)len, (size_t)len);
    *ret_der = copy;
    *ret_der_len = (size_t)len;
    err = URD_OK;
out:
    if (err != URD_OK) node_say(errmsg, errmsg_len, "no certificate could be asked for");
    mbedtls_x509write_csr_free(&writer);
    mbedtls_pk_free(&key);
    return err;
}

/* Is the only name in @subject CN = @name? */
static bool named(const mbedtls_x509_name *subject, const char *name)
{
    char text[256], expected[128];
    if (mbedtls_x509_dn_gets(text, sizeof text, subject) < 0) return false;
    (void)snprintf(expected, sizeof expected, "CN=%s", name);
    return strcmp(text, expected) == 0;
}

/* The request's own signature: whoever made it has the key. */
static bool csr_signed(mbedtls_x509_csr *csr)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(csr->sig_md);
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    if (md == NULL || mbedtls_md(md, csr->cri.p, csr->cri.len, hash) != 0) return false;
    return mbedtls_pk_verify_ext(csr->sig_pk, csr->sig_opts, &csr->pk, csr->sig_md, hash,
                                 mbedtls_md_get_size(md), csr->sig.p, csr->sig.len) == 0;
}

static bool on_p256(const mbedtls_pk_context *key)
{
    return mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY) &&
           mbedtls_pk_ec(*key)->grp.id == MBEDTLS_ECP_DP_SECP256R1;
}

urd_err node_identity_certify(const struct node_identity_random *random, const char *ca_pem,
                              const char *ca_key_pem, const uint8_t *csr_der, size_t csr_der_len,
                              const char *name, int64_t now_s, char **ret_pem, char *errmsg,
                              size_t errmsg_len)
{
    mbedtls_x509_csr csr;
    mbedtls_x509_crt ca;
    mbedtls_pk_context ca_key;
    mbedtls_x509_csr_init(&csr);
    mbedtls_x509_crt_init(&ca);
    mbedtls_pk_init(&ca_key);
    char subject[128], issuer[256];
    urd_err err = URD_E_INVALID;
    if (mbedtls_x509_csr_parse_der(&csr, csr_der, csr_der_len) != 0) {
        node_say(errmsg, errmsg_len, "not a certificate request");
    } else if (!urd_caps_node_name_ok(name) || !named(&csr.subject, name)) {
        node_say(errmsg, errmsg_len, "the certificate request is for another name");
        err = URD_E_DENIED;
    } else if (!on_p256(&csr.pk) || !csr_signed(&csr)) {
        node_say(errmsg, errmsg_len, "the certificate request is not signed by its own P-256 key");
        err = URD_E_DENIED;
    } else if (cert_parse(ca_pem, &ca) != URD_OK || key_parse(ca_key_pem, &ca_key) != URD_OK ||
               mbedtls_x509_dn_gets(issuer, sizeof issuer, &ca.subject) < 0) {
        node_say(errmsg, errmsg_len, "the CA's certificate or key does not parse");
    } else {
        (void)snprintf(subject, sizeof subject, "CN=%s", name);
        const struct certificate c = { subject, issuer,         &csr.pk, &ca_key,
                                       now_s,   NODE_CERT_DAYS, false };
        err = write_certificate(random, &c, ret_pem);
        if (err != URD_OK) node_say(errmsg, errmsg_len, "the certificate could not be made");
    }
    mbedtls_pk_free(&ca_key);
    mbedtls_x509_crt_free(&ca);
    mbedtls_x509_csr_free(&csr);
    return err;
}

/* ---- looking at certificates ---- */

static int64_t instant_of(const mbedtls_x509_time *time)
{
    struct tm tm = { .tm_year = time->year - 1900,
                     .tm_mon = time->mon - 1,
                     .tm_mday = time->day,
                     .tm_hour = time->hour,
                     .tm_min = time->min,
                     .tm_sec = time->sec };
    return (int64_t)timegm(&tm);
}

urd_err node_identity_check(const char *cert_pem, const char *key_pem, const char *ca_pem,
                            const char *name, int64_t *ret_not_before_s, int64_t *ret_not_after_s,
                            char *errmsg, size_t errmsg_len)
{
    mbedtls_x509_crt cert, ca;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&cert);
    mbedtls_x509_crt_init(&ca);
    mbedtls_pk_init(&key);
    const uint32_t span = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    uint32_t flags = 0;
    urd_err err = URD_E_INVALID;
    if (cert_parse(cert_pem, &cert) != URD_OK) {
        node_say(errmsg, errmsg_len, "the certificate does not parse");
    } else if (cert_parse(ca_pem, &ca) != URD_OK) {
        node_say(errmsg, errmsg_len, "the CA's certificate does not parse");
    } else if (key_parse(key_pem, &key) != URD_OK) {
        node_say(errmsg, errmsg_len, "the private key does not parse");
    } else if (mbedtls_pk_check_pair(&cert.pk, &key) != 0) {
        err = URD_E_DENIED;
        node_say(errmsg, errmsg_len, "the certificate is not for this private key");
    } else if (!named(&cert.subject, name)) {
        err = URD_E_DENIED;
        node_say(errmsg, errmsg_len, "the certificate is for another name than `%s`", name);
    } else if (mbedtls_x509_crt_verify(&cert, &ca, NULL, NULL, &flags, NULL, NULL) != 0 &&
               (flags & ~span) != 0) {
        err = URD_E_DENIED;
        node_say(errmsg, errmsg_len, "the certificate was not made by this CA");
    } else {
        if (ret_not_before_s != NULL) *ret_not_before_s = instant_of(&cert.valid_from);
        if (ret_not_after_s != NULL) *ret_not_after_s = instant_of(&cert.valid_to);
        err = URD_OK;
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&ca);
    mbedtls_x509_crt_free(&cert);
    return err;
}

urd_err node_identity_fingerprint(const char *cert_pem, uint8_t ret[static NODE_FINGERPRINT_BYTES])
{
    mbedtls_x509_crt cert;
    mbedtls_x509_crt_init(&cert);
    urd_err err = cert_parse(cert_pem, &cert);
    if (err == URD_OK && mbedtls_sha256_ret(cert.raw.p, cert.raw.len, ret, 0) != 0)
        err = URD_E_SYSTEM;
    mbedtls_x509_crt_free(&cert);
    return err;
}

urd_err node_identity_cert_to_der(const char *cert_pem, uint8_t **ret_der, size_t *ret_der_len)
{
    mbedtls_x509_crt cert;
    mbedtls_x509_crt_init(&cert);
    urd_err err = cert_parse(cert_pem, &cert);
    if (err == URD_OK) {
        uint8_t *copy = malloc(cert.raw.len);
        if (copy == NULL) {
            err = URD_E_NOMEM;
        } else {
            memcpy(copy, cert.raw.p, cert.raw.len);
            *ret_der = copy;
            *ret_der_len = cert.raw.len;
        }
    }
    mbedtls_x509_crt_free(&cert);
    return err;
}

urd_err node_identity_cert_from_der(const uint8_t *der, size_t der_len, char **ret_pem)
{
    mbedtls_x509_crt cert;
    mbedtls_x509_crt_init(&cert);
    unsigned char pem[PEM_BYTES];
    size_t pem_len;
    urd_err err = URD_E_INVALID;
    if (mbedtls_x509_crt_parse_der(&cert, der, der_len) == 0 &&
        mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n",
                                 der, der_len, pem, sizeof pem, &pem_len) == 0) {
        char *text = copy_text(pem);
        err = text != NULL ? URD_OK : URD_E_NOMEM;
        if (text != NULL) *ret_pem = text;
    }
    mbedtls_x509_crt_free(&cert);
    return err;
}

urd_err node_identity_key_to_der(const char *key_pem, uint8_t **ret_der, size_t *ret_der_len)
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    unsigned char der[DER_BYTES];
    urd_err err = key_parse(key_pem, &key);
    if (err == URD_OK) {
        int len = mbedtls_pk_write_key_der(&key, der, sizeof der);
        uint8_t *copy = len > 0 ? malloc((size_t)len) : NULL;
        if (copy == NULL) {
            err = URD_E_NOMEM;
        } else {
            memcpy(copy, der + sizeof der - (size_t)len, (size_t)len);
            *ret_der = copy;
            *ret_der_len = (size_t)len;
        }
    }
    explicit_bzero(der, sizeof der);
    mbedtls_pk_free(&key);
    return err;
}

urd_err node_identity_key_from_der(const uint8_t *der, size_t der_len, char **ret_pem)
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    unsigned char pem[PEM_BYTES];
    urd_err err = URD_E_INVALID;
    if (mbedtls_pk_parse_key(&key, der, der_len, NULL, 0) == 0 && on_p256(&key) &&
        mbedtls_pk_write_key_pem(&key, pem, sizeof pem) == 0) {
        char *text = copy_text(pem);
        err = text != NULL ? URD_OK : URD_E_NOMEM;
        if (text != NULL) *ret_pem = text;
    }
    explicit_bzero(pem, sizeof pem);
    mbedtls_pk_free(&key);
    return err;
}
