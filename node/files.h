/* node/files.h -- the file service: data sessions with clients and other nodes, and the tree below
 * root/.
 *
 * Control runs over RPC (protocol.proto, 'files'); bytes travel in sealed datagrams over the node's
 * one UDP socket (fountain/transfer).  What is received lies under partial/ID/ until every digest
 * matches, then appears under its name below root/; a transfer that stopped goes on there, whoever
 * stopped it.
 *
 * A request about a session is judged like the one that opened it: by the session's own path. */
#ifndef NODE_FILES_H
#define NODE_FILES_H

#include "node/handler.h"

#define NODE_FILES_SERVICE     "files"
#define NODE_FILE_SESSIONS_MAX 256u
#define NODE_FILE_KEPT_NS                                                                          \
    UINT64_C(120000000000) /* a session that ended can still be asked about                        \
                            */
#define NODE_FILE_IDLE_NS      UINT64_C(60000000000)
#define NODE_FILE_WINDOW_BYTES (64u << 20) /* memory of one session, about */

extern const struct node_service node_files_service;

#endif
