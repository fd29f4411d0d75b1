/* client/commands_internal.h -- what runs each command; the table in commands.c is the reader. */
#ifndef CLIENT_COMMANDS_INTERNAL_H
#define CLIENT_COMMANDS_INTERNAL_H

#include "client/command.h"

typedef int client_run(struct urd_cx *cx, const struct client_invocation *inv);

client_run client_run_help;
/* command_node.c */
client_run client_run_init, client_run_node, client_run_status, client_run_verify,
    client_run_backup, client_run_restore, client_run_invite;
/* command_saga.c */
client_run client_run_saga_submit, client_run_saga_show, client_run_saga_history,
    client_run_saga_list, client_run_saga_watch, client_run_saga_plan, client_run_saga_cancel,
    client_run_saga_pause, client_run_saga_resume, client_run_saga_signal, client_run_saga_resolve,
    client_run_saga_run, client_run_saga_complete;
/* command_worker.c */
client_run client_run_worker;
/* command_file.c */
client_run client_run_file_send, client_run_file_fetch, client_run_file_ls, client_run_file_stat,
    client_run_file_rm;
/* command_fountain.c */
client_run client_run_fountain_encode, client_run_fountain_decode, client_run_fountain_info;
/* command_cap.c */
client_run client_run_cap_mint, client_run_cap_attenuate, client_run_cap_show,
    client_run_cap_verify, client_run_cap_revoke, client_run_cap_revoked;

#endif
