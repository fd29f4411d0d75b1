/* node/identity.h -- who a node is on the wire: the cluster's CA, certificates, requests for them.
 *
 * Only nodes have certificates: P-256, CN = node name, NODE_CERT_DAYS, not-before a day back so
 * that clocks may differ.  Everything is PEM or DER text; nothing here does I/O: randomness and the
 * time are arguments.  All calls work for some milliseconds on some 10 KB of stack.
 *
 * Errors common to all: URD_E_NOMEM; URD_E_INVALID what was given does not parse or fit; and
 * @errmsg (may be NULL) has a sentence. */
#ifndef NODE_IDENTITY_H
#define NODE_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define NODE_CERT_DAYS         30
#define NODE_CERT_RENEW_DAYS   20 /* of them, after which a new one is asked for */
#define NODE_CA_DAYS           3650
#define NODE_FINGERPRINT_BYTES 32

/* Where randomness comes from: fill @ret, 0 on success. */
struct node_identity_random {
    int (*fill)(void *arg, unsigned char *ret, size_t len);
    void *arg;
};

/* A new private key.  *@ret_pem is a secret for node_secret_free(). */
URD_MUST_USE urd_err node_identity_key_new(const struct node_identity_random *random,
                                           char **ret_pem);
/* Wipe and free text; NULL is allowed. */
void node_secret_free(char *text);

/* A CA for @cluster, signed with its own key.  *@ret_pem is for free(). */
URD_MUST_USE urd_err node_identity_ca_new(const struct node_identity_random *random,
                                          const char *cluster, const char *key_pem, int64_t now_s,
                                          char **ret_pem, char *errmsg, size_t errmsg_len);

/* A request for a certificate for node @name (PKCS #10, DER) with @key_pem; *@ret_der is for
 * free().
 */
URD_MUST_USE urd_err node_identity_csr(const struct node_identity_random *random, const char *name,
                                       const char *key_pem, uint8_t **ret_der, size_t *ret_der_len,
                                       char *errmsg, size_t errmsg_len);

/* Certify the key in the untrusted request @csr_der for node @name.  Its own name must be @name and
 * its signature must hold: whoever asks has the key.  *@ret_pem is for free().
 * Errors besides: URD_E_DENIED another name, or the signature does not hold. */
URD_MUST_USE urd_err node_identity_certify(const struct node_identity_random *random,
                                           const char *ca_pem, const char *ca_key_pem,
                                           const uint8_t *csr_der, size_t csr_der_len,
                                           const char *name, int64_t now_s, char **ret_pem,
                                           char *errmsg, size_t errmsg_len);

/* Does @cert_pem belong to @key_pem, to node @name, and to the CA @ca_pem?  @ret_not_before_s,
 * @ret_not_after_s (may be NULL): its span, which is not judged.
 * Errors besides: URD_E_DENIED it does not; the sentence says which. */
URD_MUST_USE urd_err node_identity_check(const char *cert_pem, const char *key_pem,
                                         const char *ca_pem, const char *name,
                                         int64_t *ret_not_before_s, int64_t *ret_not_after_s,
                                         char *errmsg, size_t errmsg_len);

/* SHA-256 of a certificate's DER. */
URD_MUST_USE urd_err node_identity_fingerprint(const char *cert_pem,
                                               uint8_t ret[static NODE_FINGERPRINT_BYTES]);

/* A certificate as DER (for free()) and back. */
URD_MUST_USE urd_err node_identity_cert_to_der(const char *cert_pem, uint8_t **ret_der,
                                               size_t *ret_der_len);
URD_MUST_USE urd_err node_identity_cert_from_der(const uint8_t *der, size_t der_len,
                                                 char **ret_pem);

/* A private key as DER and back, for handing the CA key to another node. */
URD_MUST_USE urd_err node_identity_key_to_der(const char *key_pem, uint8_t **ret_der,
                                              size_t *ret_der_len);
URD_MUST_USE urd_err node_identity_key_from_der(const uint8_t *der, size_t der_len, char **ret_pem);

#endif
