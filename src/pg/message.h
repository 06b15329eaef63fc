/*
 * message.h: the type bytes of protocol version 3 ("Message Formats" in the PostgreSQL manual).
 * Some bytes mean one thing from the frontend and another from the backend.
 */
#ifndef PGSLUICE_PG_MESSAGE_H
#define PGSLUICE_PG_MESSAGE_H

enum message_frontend {
    MESSAGE_BIND = 'B',
    MESSAGE_CLOSE = 'C',
    MESSAGE_COPY_FAIL = 'f',
    MESSAGE_DESCRIBE = 'D',
    MESSAGE_EXECUTE = 'E',
    MESSAGE_FLUSH = 'H',
    MESSAGE_FUNCTION_CALL = 'F',
    MESSAGE_PARSE = 'P',
    MESSAGE_PASSWORD = 'p', /* also SASLInitialResponse and SASLResponse */
    MESSAGE_QUERY = 'Q',
    MESSAGE_SYNC = 'S',
    MESSAGE_TERMINATE = 'X',
};

enum message_both {
    MESSAGE_COPY_DATA = 'd',
    MESSAGE_COPY_DONE = 'c',
};

enum message_backend {
    MESSAGE_AUTHENTICATION = 'R',
    MESSAGE_BACKEND_KEY_DATA = 'K',
    MESSAGE_BIND_COMPLETE = '2',
    MESSAGE_CLOSE_COMPLETE = '3',
    MESSAGE_COMMAND_COMPLETE = 'C',
    MESSAGE_COPY_BOTH_RESPONSE = 'W',
    MESSAGE_COPY_IN_RESPONSE = 'G',
    MESSAGE_COPY_OUT_RESPONSE = 'H',
    MESSAGE_DATA_ROW = 'D',
    MESSAGE_EMPTY_QUERY_RESPONSE = 'I',
    MESSAGE_ERROR_RESPONSE = 'E',
    MESSAGE_FUNCTION_CALL_RESPONSE = 'V',
    MESSAGE_NEGOTIATE_PROTOCOL_VERSION = 'v',
    MESSAGE_NO_DATA = 'n',
    MESSAGE_NOTICE_RESPONSE = 'N',
    MESSAGE_NOTIFICATION_RESPONSE = 'A',
    MESSAGE_PARAMETER_DESCRIPTION = 't',
    MESSAGE_PARAMETER_STATUS = 'S',
    MESSAGE_PARSE_COMPLETE = '1',
    MESSAGE_PORTAL_SUSPENDED = 's',
    MESSAGE_READY_FOR_QUERY = 'Z',
    MESSAGE_ROW_DESCRIPTION = 'T',
};

/* Transaction status in ReadyForQuery. */
enum message_transaction_status {
    MESSAGE_IDLE = 'I',
    MESSAGE_IN_TRANSACTION = 'T',
    MESSAGE_FAILED_TRANSACTION = 'E',
};

#endif
