/* Every command of `urd`, in the order in which help shows them. */
#include "client/commands_internal.h"

#define B CLIENT_FLAG_BOOL
#define T CLIENT_FLAG_TEXT
#define D CLIENT_FLAG_DURATION
#define S CLIENT_FLAG_SIZE
#define R CLIENT_FLAG_RATE
#define C CLIENT_FLAG_COUNT
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* clang-format off */
const struct client_flag client_flags_common[] = {
    { "json", B, NULL, "one JSON object, or one a line, on standard output", false },
    { "node", T, "NAME=URL", "the node to ask (URD_NODE)", false },
    { "cap", T, "FILE", "the capability to show: a file, @FILE, - or the token's text (URD_CAP)", false },
    { "home", T, "DIR", "a node directory: its address, trust and admin.cap (URD_HOME)", false },
    { "profile", T, "FILE", "a client profile (URD_PROFILE)", false },
    { "timeout", D, "DUR", "how long to wait for an answer (10s; waiting commands: no end)", false },
    { "help", B, NULL, "this text", false },
    END
};

#define CAVEAT_FLAGS                                                                                                   \
    { "action", T, "GLOB,…", "only these actions", false },                                                            \
    { "resource", T, "GLOB,…", "only these resources", false },                                                        \
    { "expires", T, "DUR|TIME", "not after", false },                                                                  \
    { "not-before", T, "TIME", "not before", false },                                                                  \
    { "uses", C, "N", "at most N times, over the whole cluster", false },                                              \
    { "rate", T, "N/DUR", "at most N times in any window of that length", false },                                     \
    { "region", T, "R", "only for this region (saga)", false },                                                        \
    { "task", T, "T", "only for this task (step)", false },                                                            \
    { "require", T, "K=V", "only where the request's context has this pair", true }
static const struct client_flag help_flags[] = { { "man", B, NULL, "the manual page, as roff", false }, END };
static const struct client_flag init_flags[] = {
    { "name", T, "NAME", "the node's name", false },
    { "cluster", T, "NAME", "the cluster's name (urd)", false },
    { "rpc", T, "ADDR:PORT[,ADVERTISED]", "where it answers requests (127.0.0.1:0; port 0 takes a free one)", false },
    { "data", T, "ADDR:PORT[,ADVERTISED]", "where file symbols arrive (127.0.0.1:0)", false },
    { "http", T, "ADDR:PORT", "the view for health and counters (none)", false },
    { "peer", T, "NAME=URL", "the address of another node; trust comes from --join alone", true },
    { "join", T, "INVITE", "join the cluster whose `urd invite` printed this line; - reads it from standard input", false },
    { "plain", B, NULL, "RPC without TLS: loopback addresses only", false },
    END
};
static const struct client_flag verify_flags[] = {
    { "history", B, NULL, "print every journal record of DIR's store, one a line", false },
    { "ended", B, NULL, "a saga that is still open is a breach too", false },
    { "ledger", T, "FILE", "a participant's ledger (JSON lines) to check the sagas against", true },
    END
};
static const struct client_flag invite_flags[] = {
    { "ca", B, NULL, "give the joining node the cluster's CA key too", false },
    { "name", T, "NAME", "only for the node of this name", false },
    { "client", B, NULL, "print a client profile instead: addresses, trust, a capability with these caveats", false },
    CAVEAT_FLAGS,
    END
};
static const struct client_flag submit_flags[] = {
    { "key", T, "KEY", "same key and document, same saga", false },
    { "wait", B, NULL, "wait for the end: exit 0 committed, 3 compensated, 4 stuck", false },
    END
};
static const struct client_flag run_flags[] = { { "key", T, "KEY", "same key and document, same saga", false }, END };
static const struct client_flag history_flags[] = { { "since", C, "SEQ", "from this record on", false }, END };
static const struct client_flag list_flags[] = {
    { "state", T, "STATE", "only sagas in this state", false },
    { "name", T, "NAME", "only sagas of this name", false },
    { "label", T, "K=V", "only sagas with this label", false },
    { "since", T, "TIME", "accepted at or after YYYY-MM-DDThh:mm:ssZ", false },
    { "limit", C, "N", "at most N (100)", false },
    END
};
static const struct client_flag resolve_flags[] = {
    { "done", B, NULL, "it was done by hand", false },
    { "retry", B, NULL, "try again", false },
    END
};
static const struct client_flag complete_flags[] = {
    { "result", T, "JSON", "it is done, with this result", false },
    { "fail", T, "REASON", "nothing was done", false },
    END
};
static const struct client_flag worker_flags[] = {
    { "on", T, "ACTION=COMMAND", "answer ACTION by running COMMAND with /bin/sh -c", true },
    { "idempotent", B, NULL, "its commands are safe to run again under the same URD_EFFECT_KEY", false },
    { "concurrency", C, "N", "commands at once (16)", false },
    { "effects", T, "DIR", "where its guards live (urd-effects)", false },
    { "name", T, "NAME", "shown by the node", false },
    END
};
static const struct client_flag file_flags[] = {
    { "rate", R, "RATE", "never faster than this, as 100Mbit", false },
    { "resume", B, NULL, "go on where an earlier transfer stopped (the default)", false },
    { "no-resume", B, NULL, "begin anew", false },
    { "symbol-size", C, "BYTES", "1280, or 1152 where a path is below 1400 bytes", false },
    END
};
static const struct client_flag stat_flags[] = { { "digest", B, NULL, "its root digest too", false }, END };
static const struct client_flag rm_flags[] = { { "recursive", B, NULL, "a directory and all in it", false }, END };
static const struct client_flag encode_flags[] = {
    { "symbol-size", C, "BYTES", "encoding symbol size T (1280)", false },
    { "repair", T, "N%", "repair symbols, in percent of the source symbols (10%)", false },
    END
};
static const struct client_flag mint_flags[] = { CAVEAT_FLAGS, END };
static const struct client_flag attenuate_flags[] = { CAVEAT_FLAGS, END };
static const struct client_flag cap_verify_flags[] = {
    { "action", T, "A", "the action to try", false },
    { "resource", T, "R", "the resource to try", false },
    END
};
static const struct client_flag revoke_flags[] = {
    { "reason", T, "TEXT", "kept with the entry", false },
    { "all", B, NULL, "wait until every node has confirmed", false },
    { "widen", B, NULL, "a branch without its own link: revoke the nearest handle above it", false },
    END
};

const struct client_command client_commands[] = {
    { "help", "[COMMAND]", 0, 3, "what there is", NULL, help_flags, client_run_help, CLIENT_PLAIN },
    { "init", "DIR --name NAME", 1, 1, "make a node directory",
      "DIR gets urd.conf, keys (mode 0600), a store, admin.cap (an unrestricted capability for the operator) and\n"
      "root/ (files it may send and receive).", init_flags, client_run_init, CLIENT_TASK },
    { "node", "DIR", 1, 1, "run a node",
      "Prints 'ready name=… rpc=… data=… http=…' when it is; SIGTERM drains it.", NULL, client_run_node, CLIENT_PLAIN },
    { "status", "", 0, 0, "a node and its peers", NULL, NULL, client_run_status, CLIENT_TASK },
    { "verify", "[DIR]", 0, 1, "check a store against the invariants",
      "With DIR the store of a stopped node; without, the node asked verifies its own.", verify_flags, client_run_verify, CLIENT_TASK },
    { "backup", "OUT", 1, 1, "copy a live store", NULL, NULL, client_run_backup, CLIENT_TASK },
    { "restore", "IN DIR", 2, 2, "put a copy in place", NULL, NULL, client_run_restore, CLIENT_TASK },
    { "invite", "", 0, 0, "one line, good once for an hour, that lets a node join", NULL, invite_flags, client_run_invite, CLIENT_TASK },

    { "saga submit", "FILE|-", 1, 1, "submit a saga", NULL, submit_flags, client_run_saga_submit, CLIENT_TASK },
    { "saga run", "FILE|-", 1, 1, "submit, show progress, wait", NULL, run_flags, client_run_saga_run, CLIENT_TASK },
    { "saga plan", "FILE|-", 1, 1, "its batches and durable waits; asks no node", NULL, NULL, client_run_saga_plan, CLIENT_TASK },
    { "saga show", "ID", 1, 1, "a saga now", NULL, NULL, client_run_saga_show, CLIENT_TASK },
    { "saga history", "ID", 1, 1, "its journal, a record a line", NULL, history_flags, client_run_saga_history, CLIENT_TASK },
    { "saga watch", "ID", 1, 1, "its journal, live, until it ends", NULL, NULL, client_run_saga_watch, CLIENT_TASK },
    { "saga list", "", 0, 0, "sagas, newest first", NULL, list_flags, client_run_saga_list, CLIENT_TASK },
    { "saga cancel", "ID", 1, 1, "undo what was done", NULL, NULL, client_run_saga_cancel, CLIENT_TASK },
    { "saga pause", "ID", 1, 1, "dispatch nothing new", NULL, NULL, client_run_saga_pause, CLIENT_TASK },
    { "saga resume", "ID", 1, 1, "go on", NULL, NULL, client_run_saga_resume, CLIENT_TASK },
    { "saga signal", "ID NAME [JSON]", 2, 3, "hand a signal to a Receive step", NULL, NULL, client_run_saga_signal, CLIENT_TASK },
    { "saga resolve", "ID STEP --done|--retry", 2, 2, "move a stuck saga on", NULL, resolve_flags, client_run_saga_resolve, CLIENT_TASK },
    { "saga complete", "EFFECT-KEY", 1, 1, "settle a step that answered 'later'", NULL, complete_flags, client_run_saga_complete, CLIENT_TASK },

    { "worker", "--on ACTION=COMMAND …", 0, 0, "answer steps by running commands",
      "The command reads the step's input (JSON) on standard input; URD_SAGA, URD_STEP, URD_ACTION, URD_ATTEMPT,\n"
      "URD_EFFECT_KEY and URD_DIRECTION (do, undo) are in its environment.  Exit 0: done, standard output is the\n"
      "result; 75: retry; killed, or 128 and above: unknown; any other: failed, standard error is the reason and\n"
      "its author's word that nothing was done.  One that runs longer than its step's timeout_ms is ended: unknown.\n"
      "A compensation reads {\"input\":…,\"result\":…}; its URD_DO_EFFECT_KEY is the key of what it undoes.",
      worker_flags, client_run_worker, CLIENT_SIGNALS },

    { "file send", "PATH… NODE[,NODE…]:/DEST", 2, 60, "stream files to nodes", NULL, file_flags, client_run_file_send, CLIENT_TASK },
    { "file fetch", "NODE[,NODE…]:/PATH DEST", 2, 2, "stream a file from a node", NULL, file_flags, client_run_file_fetch, CLIENT_TASK },
    { "file ls", "NODE:/PATH", 1, 1, "list a node's files", NULL, NULL, client_run_file_ls, CLIENT_TASK },
    { "file stat", "NODE:/PATH", 1, 1, "one file", NULL, stat_flags, client_run_file_stat, CLIENT_TASK },
    { "file rm", "NODE:/PATH", 1, 1, "remove a file", NULL, rm_flags, client_run_file_rm, CLIENT_TASK },

    { "fountain encode", "FILE OUT", 2, 2, "the codec alone: a file as encoding symbols", NULL, encode_flags, client_run_fountain_encode, CLIENT_TASK },
    { "fountain decode", "IN FILE", 2, 2, "and back", NULL, NULL, client_run_fountain_decode, CLIENT_TASK },
    { "fountain info", "IN", 1, 1, "what a container holds", NULL, NULL, client_run_fountain_info, CLIENT_TASK },

    { "cap mint", "", 0, 0, "a new token, never wider than the one shown", NULL, mint_flags, client_run_cap_mint, CLIENT_TASK },
    { "cap attenuate", "TOKEN", 1, 1, "narrow a token, offline (TOKEN: -, @FILE, or its text)", NULL, attenuate_flags, client_run_cap_attenuate, CLIENT_TASK },
    { "cap show", "TOKEN", 1, 1, "what a token allows, and the ids by which it can be revoked", NULL, NULL, client_run_cap_show, CLIENT_TASK },
    { "cap verify", "TOKEN --action A --resource R", 1, 1, "whether a node would take it", NULL, cap_verify_flags, client_run_cap_verify, CLIENT_TASK },
    { "cap revoke", "TOKEN|ID", 1, 1, "that capability and everything delegated from it", NULL, revoke_flags, client_run_cap_revoke, CLIENT_TASK },
    { "cap revoked", "", 0, 0, "the revoked set", NULL, NULL, client_run_cap_revoked, CLIENT_TASK },
    { .words = NULL }
};
/* clang-format on */
