/* fountain/transfer/path.h -- whom a session may send to, and how much.
 *
 * A session follows its peer: the source address of the newest authentic datagram is where answers
 * go.  An address is *validated* once it has echoed a random challenge in a sealed datagram; until
 * then, and again after each change, at most three times what came from it may go to it, so nobody
 * can be flooded by a session that claims to be them.  To an address that only the caller named
 * (over RPC) one datagram in 50 ms may go, to make contact.  Pure: time and random bytes are
 * arguments. */
#ifndef FOUNTAIN_TRANSFER_PATH_H
#define FOUNTAIN_TRANSFER_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "fountain/transfer/datagram.h"
#include "runtime/net.h"

#define URD_FOUNTAIN_CONTACT_INTERVAL_NS UINT64_C(50000000)
#define URD_FOUNTAIN_AMPLIFICATION_MAX   3u

struct urd_fountain_path {
    struct urd_address address;   /* len 0: none yet */
    struct urd_address proven;    /* the last address that was validated; len 0: none */
    bool validated;               /* address is proven */
    uint64_t bytes_in, bytes_out; /* with address, since it became that */
    uint64_t contact_ns;          /* when something went to an address not heard from */
    uint64_t challenge_ns;        /* when the challenge was sent last; 0: never */
    uint64_t challenged_ns;       /* when it was sent first */
    uint64_t rtt_ns;              /* from a challenge to its response; 0: none came */
    uint8_t challenge[URD_FOUNTAIN_CHALLENGE_LEN];
    bool challenge_set;
};

/* Start with @peer (len 0: unknown). */
void urd_fountain_path_init(struct urd_fountain_path *path, const struct urd_address *peer);
/* An authentic datagram of @len bytes came from @from; @newest as urd_fountain_open() says. */
void urd_fountain_path_heard(struct urd_fountain_path *path, const struct urd_address *from,
                             size_t len, bool newest);
/* May @len bytes go to the address now? */
bool urd_fountain_path_may_send(const struct urd_fountain_path *path, uint64_t now_ns, size_t len);
/* @len bytes went. */
void urd_fountain_path_sent(struct urd_fountain_path *path, uint64_t now_ns, size_t len);
/* Should a challenge go out now?  (Address known, not validated, none on its way for a while.) */
bool urd_fountain_path_challenge_due(const struct urd_fountain_path *path, uint64_t now_ns);
/* The challenge to send: @fresh (8 random bytes) when a new one is needed, else the one before. */
void urd_fountain_path_challenge(struct urd_fountain_path *path, uint64_t now_ns,
                                 const uint8_t fresh[static URD_FOUNTAIN_CHALLENGE_LEN],
                                 uint8_t ret[static URD_FOUNTAIN_CHALLENGE_LEN]);
/* A response came from @from at @now_ns: validates the address if it is right and came from there.
 */
void urd_fountain_path_response(struct urd_fountain_path *path, uint64_t now_ns,
                                const struct urd_address *from,
                                const uint8_t response[static URD_FOUNTAIN_CHALLENGE_LEN]);

#endif
