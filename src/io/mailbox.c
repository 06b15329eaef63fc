#include "io/mailbox.h"

#include "base/check.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    struct lock lock;
    struct mailbox_message *first; /* under lock */
    struct mailbox_message **end;  /* under lock: where the next one goes */
    struct event *event;           /* owned */
    int descriptor;                /* eventfd */
};

/* The counter is emptied first: whoever posts after the queue was taken finds it empty and wakes
 * the loop again. */
static void on_woken(evutil_socket_t descriptor, short events, void *context)
{
    (void)events;
    uint64_t count;
    ssize_t size = read(descriptor, &count, sizeof(count));
    check(size == (ssize_t)sizeof(count) || errno == EAGAIN || errno == EINTR);
    mailbox_deliver(context);
}

struct mailbox *mailbox_new(void *event_base)
{
    struct mailbox *mailbox = memory_new(struct mailbox);
    lock_init(&mailbox->lock, "mailbox");
    mailbox->end = &mailbox->first;
    mailbox->descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->descriptor < 0) {
        log_fatal("could not create an eventfd: %s", strerror(errno));
    }
    mailbox->event =
        event_new(event_base, mailbox->descriptor, EV_READ | EV_PERSIST, on_woken, mailbox);
    check(mailbox->event != NULL && event_add(mailbox->event, NULL) == 0);
    return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
    event_free(mailbox->event);
    close(mailbox->descriptor);
    lock_destroy(&mailbox->lock);
    free(mailbox);
}

void mailbox_wake(struct mailbox *mailbox)
{
    uint64_t one = 1;
    ssize_t size;
    do {
        size = write(mailbox->descriptor, &one, sizeof(one));
    } while (size < 0 && errno == EINTR);
    /* EAGAIN: the counter is at its greatest, so the loop is awake already. */
    check(size == (ssize_t)sizeof(one) || errno == EAGAIN);
}

void mailbox_post(struct loop *loop, struct mailbox_message *message)
{
    struct mailbox *mailbox = loop_mailbox(loop);
    lock_take(&mailbox->lock);
    check(!message->posted);
    bool was_empty = mailbox->first == NULL;
    message->posted = true;
    message->next = NULL;
    *mailbox->end = message;
    mailbox->end = &message->next;
    lock_release(&mailbox->lock);
    if (was_empty) {
        mailbox_wake(mailbox);
    }
}

void mailbox_deliver(struct mailbox *mailbox)
{
    lock_take(&mailbox->lock);
    struct mailbox_message *message = mailbox->first;
    mailbox->first = NULL;
    mailbox->end = &mailbox->first;
    lock_release(&mailbox->lock);
    while (message != NULL) {
        struct mailbox_message *next = message->next;
        message->posted = false;
        message->deliver(message);
        message = next;
    }
}
