/*
 * mailbox.h: messages between threads. Intrusive and preallocated, so that posting cannot fail or
 * allocate. The receiving loop takes the whole queue under one short lock, then delivers in order.
 * Posting wakes the loop (eventfd) only where its queue was empty.
 */
#ifndef PGSLUICE_IO_MAILBOX_H
#define PGSLUICE_IO_MAILBOX_H

#include <stdbool.h>

struct loop;

struct mailbox_message {
    struct mailbox_message *next; /* the mailbox's, while posted */
    /* Called on the receiving loop's thread; the message may be reused or freed in it. */
    void (*deliver)(struct mailbox_message *message);
    bool posted; /* a message is in one mailbox at most: checked */
};

/* Any thread. */
void mailbox_post(struct loop *loop, struct mailbox_message *message);

/* The rest is for loop.c, whose loops own one mailbox each. */
struct mailbox;
struct mailbox *mailbox_new(void *event_base);
/* What is still posted stays with those who posted it. */
void mailbox_free(struct mailbox *mailbox);
/* Any thread: the loop makes one more turn. */
void mailbox_wake(struct mailbox *mailbox);
/* Owner thread: delivers what is there now. */
void mailbox_deliver(struct mailbox *mailbox);

#endif
