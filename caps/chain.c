/* How a chain is walked:
 *
 *     root --caveat, caveat, third-party caveat--> ... --> compare with the root's signature
 *                                |
 *                                +-- each discharge with that id: open vid -> key -> the same walk,
 *                                    one deeper, bound to the root -> compare with its signature
 *
 * Every walk is one visit in a table; a child always stands after its parent.  So evaluating from
 * the last to the first has judged every discharge before the caveat that needs it. */
#include "caps/chain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "caps/hmac_internal.h"

#define NO_VISIT SIZE_MAX

struct visit {
    const struct urd_caps_token *token;
    uint8_t *signatures; /* one after each caveat, 32 bytes each */
    size_t parent;       /* the visit whose caveat it discharges */
    size_t parent_caveat;
    unsigned depth;
    bool mac_holds;
    bool holds;        /* and every caveat does */
    size_t refused_at; /* else the first caveat that does not */
};

struct urd_caps_chain {
    const struct urd_caps_token *const *discharges;
    size_t discharge_count;
    bool limited;
    size_t visit_count;
    struct visit visits[URD_CAPS_VISITS_MAX];
};

static bool same(struct urd_caps_bytes a, struct urd_caps_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool on_path(const struct urd_caps_chain *chain, size_t at,
                    const struct urd_caps_token *token)
{
    for (; at != NO_VISIT; at = chain->visits[at].parent)
        if (chain->visits[at].token == token) return true;
    return false;
}

static urd_err walk(struct urd_caps_chain *chain, size_t self, uint8_t *signature);

/* Visit each discharge that has this caveat's id, under the key sealed in its vid. */
static urd_err walk_discharges(struct urd_caps_chain *chain, size_t self, size_t caveat_index,
                               const uint8_t *signature)
{
    const struct visit *v = &chain->visits[self];
    struct urd_caps_caveat caveat = urd_caps_token_caveat(v->token, caveat_index);
    struct urd_caps_key key;
    urd_err err = URD_OK;
    assert(caveat.vid.len == URD_CAPS_VID_BYTES);
    if (crypto_secretbox_open_easy(key.bytes, caveat.vid.data + URD_CAPS_NONCE_BYTES,
                                   caveat.vid.len - URD_CAPS_NONCE_BYTES, caveat.vid.data,
                                   signature) != 0)
        return URD_OK; /* nothing can discharge it; the chain goes on all the same */

    for (size_t i = 0; i < chain->discharge_count && err == URD_OK; i++) {
        const struct urd_caps_token *d = chain->discharges[i];
        if (!same(urd_caps_token_identifier(d), caveat.id) || on_path(chain, self, d)) continue;
        if (v->depth == URD_CAPS_DEPTH_MAX || chain->visit_count == URD_CAPS_VISITS_MAX) {
            chain->limited = true;
            break;
        }
        size_t child = chain->visit_count++;
        chain->visits[child] = (struct visit){
            .token = d, .parent = self, .parent_caveat = caveat_index, .depth = v->depth + 1
        };
        uint8_t first[URD_CAPS_SIGNATURE_BYTES];
        urd_caps_hmac(first, key.bytes, urd_caps_token_identifier(d));
        err = walk(chain, child, first);
    }
    sodium_memzero(key.bytes, sizeof key.bytes);
    return err;
}

/* From @signature, the chain's first link, to its last, which is compared.  @signature is wiped. */
static urd_err walk(struct urd_caps_chain *chain, size_t self, uint8_t *signature)
{
    struct visit *v = &chain->visits[self];
    size_t caveat_count = urd_caps_token_caveat_count(v->token);
    v->signatures = malloc(caveat_count * URD_CAPS_SIGNATURE_BYTES + 1);
    if (v->signatures == NULL) return URD_E_NOMEM;

    for (size_t i = 0; i < caveat_count; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(v->token, i);
        if (caveat.vid.len > 0) {
            urd_err err = walk_discharges(chain, self, i, signature);
            if (err != URD_OK) {
                sodium_memzero(signature, URD_CAPS_SIGNATURE_BYTES);
                return err;
            }
        }
        urd_caps_hmac_caveat(signature, &caveat);
        memcpy(v->signatures + i * URD_CAPS_SIGNATURE_BYTES, signature, URD_CAPS_SIGNATURE_BYTES);
    }
    if (v->depth > 0)
        urd_caps_hmac_bind(signature, urd_caps_token_signature(chain->visits[0].token), signature);
    v->mac_holds =
        sodium_memcmp(signature, urd_caps_token_signature(v->token), URD_CAPS_SIGNATURE_BYTES) == 0;
    sodium_memzero(signature, URD_CAPS_SIGNATURE_BYTES);
    return URD_OK;
}

urd_err urd_caps_chain_new(const struct urd_caps_key *key, const struct urd_caps_token *root,
                           const struct urd_caps_token *const *discharges, size_t discharge_count,
                           struct urd_caps_chain **ret)
{
    if (discharge_count > URD_CAPS_DISCHARGES_MAX) return URD_E_TOO_BIG;
    struct urd_caps_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) return URD_E_NOMEM;
    chain->discharges = discharges;
    chain->discharge_count = discharge_count;
    chain->visit_count = 1;
    chain->visits[0] = (struct visit){ .token = root, .parent = NO_VISIT };

    uint8_t first[URD_CAPS_SIGNATURE_BYTES];
    urd_caps_hmac_prepared(first, key, urd_caps_token_identifier(root));
    urd_err err = walk(chain, 0, first);
    if (err != URD_OK) {
        urd_caps_chain_free(chain);
        return err;
    }
    *ret = chain;
    return URD_OK;
}

void urd_caps_chain_free(struct urd_caps_chain *chain)
{
    if (chain == NULL) return;
    for (size_t i = 0; i < chain->visit_count; i++) {
        struct visit *v = &chain->visits[i];
        if (v->signatures == NULL) continue;
        sodium_memzero(v->signatures,
                       urd_caps_token_caveat_count(v->token) * URD_CAPS_SIGNATURE_BYTES);
        free(v->signatures);
    }
    free(chain);
}

bool urd_caps_chain_mac_holds(const struct urd_caps_chain *chain)
{
    return chain->visits[0].mac_holds;
}

/* The first visit that discharges a caveat: one whose caveats hold too, or else whose MAC does. */
static size_t discharge_of(const struct urd_caps_chain *chain, size_t parent, size_t caveat_index,
                           bool must_hold)
{
    for (size_t i = parent + 1; i < chain->visit_count; i++) {
        const struct visit *v = &chain->visits[i];
        if (v->parent != parent || v->parent_caveat != caveat_index) continue;
        if (must_hold ? v->holds : v->mac_holds) return i;
    }
    return NO_VISIT;
}

static struct urd_caps_site site_at(const struct visit *v, size_t caveat_index,
                                    struct urd_caps_bytes predicate)
{
    return (struct urd_caps_site){ predicate,
                                   v->signatures + caveat_index * URD_CAPS_SIGNATURE_BYTES,
                                   v->depth };
}

static void evaluate_visit(struct urd_caps_chain *chain, size_t self, urd_caps_predicate_fn holds,
                           void *arg)
{
    struct visit *v = &chain->visits[self];
    v->holds = v->mac_holds;
    v->refused_at = SIZE_MAX;
    for (size_t i = 0; v->mac_holds && i < urd_caps_token_caveat_count(v->token); i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(v->token, i);
        struct urd_caps_site site = site_at(v, i, caveat.id);
        bool held =
            caveat.vid.len > 0 ? discharge_of(chain, self, i, true) != NO_VISIT : holds(arg, &site);
        if (held) continue;
        if (v->refused_at == SIZE_MAX) v->refused_at = i;
        v->holds = false;
    }
}

/* Follow the refusal down to the caveat that made it. */
static enum urd_caps_chain_answer refusal(const struct urd_caps_chain *chain,
                                          struct urd_caps_bytes *ret_refused)
{
    size_t at = 0;
    for (;;) {
        const struct visit *v = &chain->visits[at];
        struct urd_caps_caveat caveat = urd_caps_token_caveat(v->token, v->refused_at);
        *ret_refused = caveat.id;
        if (caveat.vid.len == 0) return URD_CAPS_CHAIN_PREDICATE;
        at = discharge_of(chain, at, v->refused_at, false);
        if (at == NO_VISIT) return URD_CAPS_CHAIN_DISCHARGE;
    }
}

enum urd_caps_chain_answer urd_caps_chain_evaluate(struct urd_caps_chain *chain,
                                                   urd_caps_predicate_fn holds, void *arg,
                                                   struct urd_caps_bytes *ret_refused)
{
    if (!urd_caps_chain_mac_holds(chain)) return URD_CAPS_CHAIN_BAD_SIGNATURE;
    if (chain->limited) return URD_CAPS_CHAIN_LIMIT;
    for (size_t i = chain->visit_count; i-- > 0;)
        evaluate_visit(chain, i, holds, arg);
    return chain->visits[0].holds ? URD_CAPS_CHAIN_HOLDS : refusal(chain, ret_refused);
}

static bool each(const struct urd_caps_chain *chain, size_t self, urd_caps_predicate_fn visit,
                 void *arg)
{
    const struct visit *v = &chain->visits[self];
    assert(v->holds);
    for (size_t i = 0; i < urd_caps_token_caveat_count(v->token); i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(v->token, i);
        if (caveat.vid.len == 0) {
            struct urd_caps_site site = site_at(v, i, caveat.id);
            if (!visit(arg, &site)) return false;
            continue;
        }
        size_t child = discharge_of(chain, self, i, true);
        assert(child != NO_VISIT);
        if (!each(chain, child, visit, arg)) return false;
    }
    return true;
}

bool urd_caps_chain_each(const struct urd_caps_chain *chain, urd_caps_predicate_fn visit, void *arg)
{
    return each(chain, 0, visit, arg);
}
