/*
 * test_pipeline.c: pipeline.c by golden exchanges. Each scenario is a line of tokens:
 *   >P    the client's Parse (B, D, C Close, E Execute, S Sync, Q Query, F FunctionCall, c
 * CopyDone) >P!   the same, of ours >P?   pipeline_accepts() must refuse it: not sent
 *   >!!   the probe of a doubt, one number for its Sync and Query
 *   <1    the server's message of that type is the client's
 *   <1~   is swallowed;  <N*  is asynchronous;  <Z#  is a violation
 * and the entries as they must leave: kind, number in order of pushing, and + completed, - errored,
 * / skipped, x dropped.
 */
#include "state/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scenario {
    const char *name;
    const char *exchange;
    const char *left;  /* how the entries left, in order */
    const char *state; /* of the pipeline at the end: see describe_state() */
};

static const struct scenario scenarios[] = {
    /* Simple queries. */
    {"select", ">Q <T <D <D <C <Z", "Q1+", "empty"},
    {"no rows and no description", ">Q <C <Z", "Q1+", "empty"},
    {"empty query", ">Q <I <Z", "Q1+", "empty"},
    {"several statements", ">Q <T <D <C <C <T <C <Z", "Q1+", "empty"},
    {"rules describe rows twice", ">Q <T <D <T <D <C <Z", "Q1+", "empty"},
    {"error before anything", ">Q <E <Z", "Q1-", "empty"},
    {"error among rows", ">Q <T <D <E <Z", "Q1-", "empty"},
    {"error at commit after its command", ">Q <C <E <Z", "Q1-", "empty"},
    {"an error of a query skips nothing", ">Q >Q >P >S <E <Z <C <Z <1 <Z", "Q1- Q2+ P3+ S4+",
     "empty"},
    {"half-way through a query", ">Q <T <D", "", "owes1 ready1"},
    {"fatal after an error", ">Q <E <E", "", "owes1 ready1"},
    {"row without description", ">Q <D#", "", "owes1 ready1"},
    {"ready before anything", ">Q <Z#", "", "owes1 ready1"},
    {"ready among rows", ">Q <T <Z#", "", "owes1 ready1"},
    {"command after an error", ">Q <E <C#", "", "owes1 ready1"},
    {"rows after an empty query", ">Q <I <T#", "", "owes1 ready1"},
    {"empty query among others", ">Q <C <I#", "", "owes1 ready1"},
    {"extended replies to a query", ">Q <1# <2# <3# <n# <t# <s# <V#", "", "owes1 ready1"},

    /* Extended query. */
    {"whole sequence", ">P >B >D >E >S <1 <2 <T <D <D <C <Z", "P1+ B2+ D3+ E4+ S5+", "empty"},
    {"statement described", ">P >D >S <1 <t <T <Z", "P1+ D2+ S3+", "empty"},
    {"no data", ">P >D >S <1 <t <n <Z", "P1+ D2+ S3+", "empty"},
    {"close", ">C >S <3 <Z", "C1+ S2+", "empty"},
    {"portal suspended and resumed", ">B >E >E >S <2 <D <D <s <D <C <Z", "B1+ E2+ E3+ S4+",
     "empty"},
    {"execute of an empty query", ">P >B >E >S <1 <2 <I <Z", "P1+ B2+ E3+ S4+", "empty"},
    {"execute without rows", ">E >S <C <Z", "E1+ S2+", "empty"},
    {"flush only", ">P >D <1 <t <T", "P1+ D2+", "half-way"},
    {"flush, then sync", ">P >D <1 <t <T >S <Z", "P1+ D2+ S3+", "empty"},
    {"a query ends extended messages", ">P <1 >Q <C <Z", "P1+ Q2+", "empty"},
    {"pipelined batches", ">P >B >S >P >B >S <1 <2 <Z <1 <2 <Z", "P1+ B2+ S3+ P4+ B5+ S6+",
     "empty"},
    {"error at commit, at the sync", ">E >S >Q <C <E <Z <C <Z", "E1+ S2- Q3+", "empty"},
    {"wrong completion for a parse", ">P <2# <3# <C# <Z# <T# <D# <I# <n#", "", "owes1 half-way"},
    {"parse complete for a bind", ">B <1#", "", "owes1 half-way"},
    {"parameters described twice", ">D <t <t#", "", "owes1 half-way"},
    {"empty query after rows", ">E <D <I#", "", "owes1 half-way"},
    {"description in an execute", ">E <T#", "", "owes1 half-way"},
    {"anything but ready for a sync", ">S <C# <1# <D# <T#", "", "owes1 ready1"},
    {"a row with nothing owed", "<D#", "", "empty"},
    {"ready with nothing owed", "<Z#", "", "empty"},
    {"login messages when logged in", ">Q <R# <K# <v# <W#", "", "owes1 ready1"},
    {"unknown message", ">Q <y# <\x01#", "", "owes1 ready1"},

    /* Errors and skipping. */
    {"the rest up to the sync is skipped", ">P >B >D >E >S <E <Z", "E4/ D3/ B2/ P1- S5+", "empty"},
    {"queries and calls are skipped too", ">B >Q >F >E >S >Q <E <Z <C <Z",
     "E4/ F3/ Q2/ B1- S5+ Q6+", "empty"},
    {"an error in the middle", ">P >B >E >S >P >S <1 <E <Z <1 <Z", "P1+ E3/ B2- S4+ P5+ S6+",
     "empty"},
    {"skipping waits for the sync", ">P >B <E >P? >B? >Q? >F? >c? >E?", "B2/ P1-",
     "skipping half-way"},
    {"the sync ends skipping", ">P <E >Q? >S >Q <Z <C <Z", "P1- S2+ Q3+", "empty"},
    {"error among an execute's rows", ">E >S <D <E <Z", "E1- S2+", "empty"},
    {"fatal while skipping", ">P <E <E*", "P1-", "skipping half-way"},
    {"second error before the sync's answer", ">P >S <E <E", "P1-", "owes1 ready1"},

    /* Function call. */
    {"function call", ">F <V <Z", "F1+", "empty"},
    {"function call fails", ">F >Q <E <Z <C <Z", "F1- Q2+", "empty"},
    {"function call without result", ">F <Z# <C#", "", "owes1 ready1"},
    {"two results", ">F <V <V#", "", "owes1 ready1"},

    /* What is nobody's. */
    {"asynchronous messages anywhere", "<N* <A* <S* >Q <S* <N* <T <A* <D <N* <C <S* <Z <N*", "Q1+",
     "empty"},
    {"asynchronous among ours", ">Q! <N* <S* <C~ <Z~", "Q1+", "empty"},
    {"error with nothing owed", "<E*", "", "empty"},

    /* Of ours. */
    {"our query ahead", ">Q! >Q <T~ <D~ <C~ <Z~ <T <D <C <Z", "Q1+ Q2+", "empty"},
    {"our query fails alone", ">Q! >Q <E~ <Z~ <C <Z", "Q1- Q2+", "empty"},
    {"our parse ahead of a bind", ">P! >B >E >S <1~ <2 <C <Z", "P1+ B2+ E3+ S4+", "empty"},
    {"our parse fails: the client's error", ">P! >B >E >S <E <Z", "E3/ B2/ P1- S4+", "empty"},
    {"our parse is skipped", ">P >P! >B >S <E <Z", "B3/ P2/ P1- S4+", "empty"},
    {"our close in between", ">C! >P >S <3~ <1 <Z", "C1+ P2+ S3+", "empty"},
    {"our sync", ">P! >S! <E <Z~", "P1- S2+", "empty"},
    {"rows of ours by the short way", ">E! >S! <D~ <D~ <D~ <C~ <Z~", "E1+ S2+", "empty"},

    /* COPY OUT. */
    {"copy out", ">Q <H <d <d <c <C <Z", "Q1+", "empty"},
    {"copy out by execute", ">E >S <H <d <c <C <Z", "E1+ S2+", "empty"},
    {"copy out fails", ">E >B >S <H <d <E <Z", "B2/ E1- S3+", "empty"},
    {"copy out of nothing, twice", ">Q <H <c <C <H <c <C <Z", "Q1+", "empty"},
    {"copy data outside", ">Q <d# <c#", "", "owes1 ready1"},
    {"copy out without its end", ">Q <H <C#", "", "owes1 ready1"},
    {"copy out inside copy out", ">Q <H <H# <G#", "", "owes1 ready1"},
    {"data after the end", ">Q <H <c <d#", "", "owes1 ready1"},
    {"rows in copy out", ">Q <H <D#", "", "owes1 ready1"},

    /* COPY IN. */
    {"copy in", ">Q <G >c <C <Z", "c2+ Q1+", "empty"},
    {"copy in by execute", ">P >B >E <1 <2 <G >c >S <C <Z", "P1+ B2+ c4+ E3+ S5+", "empty"},
    {"copy in waits for its end", ">Q <G", "", "owes1 ready1 copying"},
    {"its end was sent ahead", ">Q >c <G", "", "owes2 ready1"},
    {"ahead, and the next query too", ">Q >c >Q <G <C <Z <C <Z", "c2+ Q1+ Q3+", "empty"},
    {"the sync behind the execute is ignored", ">E >S <G >c >S <C <Z", "c3+ S2/ E1+ S4+", "empty"},
    {"an ignored sync ends nothing", ">E >S <G >S >c <C", "c4+ S3/ S2/ E1+", "half-way"},
    {"nor with stray copy ends", ">E >S >c >c <G <C", "c3+ S2/ E1+ c4/", "half-way"},
    {"syncs in the middle are ignored", ">Q >S <G >S >S >c <C <Z", "c5+ S4/ S3/ S2/ Q1+", "empty"},
    {"two copies in one query", ">Q <G >c <C <G >c <C <Z", "c2+ c3+ Q1+", "empty"},
    {"two copies, all sent ahead", ">Q >c >c >P >S <G <C <G <C <Z <1 <Z", "c2+ c3+ Q1+ P4+ S5+",
     "empty"},
    {"copy in completes without an end", ">Q <G <C#", "", "owes1 ready1 copying"},
    {"only syncs are no end", ">E >S >S <G <C#", "", "owes3 ready2 copying"},
    {"copy in fails", ">Q <G <E <Z", "Q1-", "empty"},
    {"copy in fails, its end comes late", ">Q <G <E >c <Z", "Q1- c2/", "empty"},
    {"copy in fails after its end", ">Q <G >c <E <Z", "c2/ Q1-", "empty"},
    {"copy in by execute fails", ">E <G <E >c? >S <Z", "E1- S2+", "empty"},
    {"the same, all sent", ">E <G >c >S <E <Z", "c2/ E1- S3+", "empty"},
    {"another message ends copying", ">Q <G >P", "", "owes2 ready1 half-way"},
    {"which ends the connection", ">Q <G >P <E <E >S", "", "owes3 ready2"},
    {"by execute the same", ">E <G >Q <E <E*", "Q2/ E1-", "skipping"},
    {"stray copy ends", ">c >c >Q <C <Z", "c1/ c2/ Q3+", "empty"},
    {"stray behind a query", ">Q >c >Q <C <Z <C <Z", "Q1+ c2/ Q3+", "empty"},
    {"stray behind a parse", ">P >c >S <1 <Z", "P1+ c2/ S3+", "empty"},
    {"copy of ours", ">Q! <G~ >c! <C~ <Z~", "c2+ Q1+", "empty"},

    /* COPY IN that fails with Syncs in it: were they read? */
    {"doubt", ">E >S <G <E", "S2/ E1-", "skipping doubt1 probe hold"},
    {"it was ignored: still skipping", ">E >S <G <E >!! <Z~ <I~", "S2/ E1- S3+",
     "owes1 ready1 skipping"},
    {"ignored, and the client's sync", ">E >S <G <E >!! <Z~ <I~ >P? >S <Z~ <Z",
     "S2/ E1- S3+ Q3+ S4+", "empty"},
    {"it was read after: answered", ">E >S <G <E >!! <Z~ <Z <I~ >P <Z~ <1 >S <Z",
     "S2/ E1- S3+ Q3+ P4+ S5+", "empty"},
    {"three, two answered", ">E >S >S >S <G <E >!! <Z~ <Z <Z <I~ <Z~", "S4/ S3/ S2/ E1- S5+ Q5+",
     "empty"},
    {"next sync already sent, ignored", ">E >S <G >c >S <E >!! <Z <I~ <Z~", "c3/ S2/ E1- S4+ Q5+",
     "empty"},
    {"next sync already sent, answered", ">E >S <G >c >S <E >!! <Z <Z <I~ <Z~",
     "c3/ S2/ E1- S4+ Q5+", "empty"},
    {"the client's next reply settles too", ">E >S <G >c >S >Q <E <Z <T <C <Z",
     "c3/ S2/ E1- S4+ Q5+", "empty"},
    {"and so does an answered one", ">E >S <G >c >S >Q <E <Z <Z <T <C <Z", "c3/ S2/ E1- S4+ Q5+",
     "empty"},
    {"answered without a probe", ">E >S <G <E <Z", "S2/ E1-", "empty"},
    {"by query, ignored", ">Q >S <G <E >!! <Z <I~ <Z~", "S2/ Q1- Q3+", "empty"},
    {"by query, answered", ">Q >S <G <E >!! <Z <Z <I~ <Z~", "S2/ Q1- Q3+", "empty"},
    {"no more than were sent", ">E >S <G <E >!! <Z~ <Z <Z#", "S2/ E1- S3+", "owes1 ready1"},
    {"what the server skips cannot be known", ">E >S >c >P >S <G <E#", "P4/ c3/ S2/ E1-",
     "owes1 ready1 doubt1 probe hold"},
    {"nor here", ">E >S >Q <G <E#", "Q3/ S2/ E1-", "skipping doubt1 probe hold"},
    {"without a sync in the copy it can", ">E >c >P >S <G <E <Z", "P3/ c2/ E1- S4+", "empty"},
    {"no probe where an answer will settle", ">E >S <G >c >S >P <E", "c3/ S2/ E1-",
     "owes2 ready1 doubt1 half-way"},
    {"an error settles too", ">E >S <G >c >S >P <E <Z <Z <E >S <Z", "c3/ S2/ E1- S4+ P5- S6+",
     "empty"},
    {"no holding where nothing skips", ">E >S <G >c >S <E >!!", "c3/ S2/ E1-",
     "owes2 ready2 doubt1"},
    {"by query nothing is skipped", ">Q >S >P <G <E <Z <Z <1", "S2/ Q1- P3+", "half-way"},
    {"fatal in doubt", ">E >S <G <E >!! <E", "S2/ E1-", "owes2 ready2 doubt1 hold"},
};

static const char kind_letters[] = "PBDCESQFc";
static const char end_letters[] = "+-/x";

/* What done() told, as in `left`. */
struct record {
    char text[1024];
};

static void remember(const struct pipeline_entry *entry, enum pipeline_end end, void *context)
{
    struct record *record = context;
    size_t length = strlen(record->text);
    snprintf(record->text + length, sizeof record->text - length, "%s%c%u%c",
             length == 0 ? "" : " ", kind_letters[entry->kind], entry->note, end_letters[end]);
}

static enum pipeline_kind kind_of(char letter)
{
    const char *at = strchr(kind_letters, letter);
    assert_non_null(at);
    return (enum pipeline_kind)(at - kind_letters);
}

static void describe_state(const struct pipeline *pipeline, char *text, size_t size)
{
    if (pipeline_is_empty(pipeline)) {
        snprintf(text, size, "empty");
        return;
    }
    size_t length = 0;
    text[0] = '\0';
#define ADD(...) length += (size_t)snprintf(text + length, size - length, " " __VA_ARGS__)
    if (pipeline->count > 0)
        ADD("owes%u", pipeline->count);
    if (pipeline->ready_owed > 0)
        ADD("ready%u", pipeline->ready_owed);
    if (pipeline->skipping)
        ADD("skipping");
    if (pipeline->doubtful > 0)
        ADD("doubt%u", pipeline->doubtful);
    if (pipeline_must_probe(pipeline))
        ADD("probe");
    if (pipeline_must_hold(pipeline))
        ADD("hold");
    if (pipeline->copying_in)
        ADD("copying");
    if (pipeline->unsynced)
        ADD("half-way");
#undef ADD
    memmove(text, text + 1, strlen(text));
}

static void play_frontend(struct pipeline *pipeline, const char *token, uint8_t *number)
{
    if (strcmp(token, ">!!") == 0) {
        pipeline_push_probe(pipeline, ++*number);
        return;
    }
    enum pipeline_kind kind = kind_of(token[1]);
    if (token[2] == '?') {
        assert_false(pipeline_accepts(pipeline, kind));
        return;
    }
    assert_true(pipeline_accepts(pipeline, kind));
    struct pipeline_entry entry = {
        .kind = (uint8_t)kind, .ours = token[2] == '!', .note = ++*number};
    pipeline_push(pipeline, entry);
}

static void play_backend(struct pipeline *pipeline, const char *token)
{
    static const char verdict_letters[] = {
        [PIPELINE_FORWARD] = '\0',
        [PIPELINE_SWALLOW] = '~',
        [PIPELINE_ASYNC] = '*',
        [PIPELINE_VIOLATION] = '#',
    };
    enum pipeline_verdict verdict = pipeline_reply(pipeline, (uint8_t)token[1]);
    if (verdict_letters[verdict] != token[2])
        fail_msg("%s: verdict %d", token, verdict);
}

static void play(struct pipeline *pipeline, const char *exchange)
{
    char tokens[512];
    char *rest = NULL;
    uint8_t number = 0;
    assert_true(strlen(exchange) < sizeof tokens);
    strcpy(tokens, exchange);
    for (char *token = strtok_r(tokens, " ", &rest); token != NULL;
         token = strtok_r(NULL, " ", &rest)) {
        if (token[0] == '>')
            play_frontend(pipeline, token, &number);
        else
            play_backend(pipeline, token);
    }
}

static void test_scenario(void **state)
{
    const struct scenario *scenario = *state;
    struct record record = {""};
    struct pipeline pipeline = {.done = remember, .context = &record};
    char text[128];

    play(&pipeline, scenario->exchange);
    assert_string_equal(record.text, scenario->left);
    describe_state(&pipeline, text, sizeof text);
    assert_string_equal(text, scenario->state);
    pipeline.done = NULL;
    pipeline_release(&pipeline);
}

static void test_clear_drops_last_first(void **state)
{
    (void)state;
    struct record record = {""};
    struct pipeline pipeline = {.done = remember, .context = &record};

    play(&pipeline, ">P >B >E >S >Q <1 <2 <G");
    record.text[0] = '\0';
    pipeline_clear(&pipeline);
    assert_string_equal(record.text, "Q5x S4x E3x");
    assert_true(pipeline_is_empty(&pipeline));
    assert_null(pipeline_head(&pipeline));
    record.text[0] = '\0';
    play(&pipeline, ">P >S <E <Z");
    assert_string_equal(record.text, "P1- S2+");
    pipeline_release(&pipeline);
    assert_null(pipeline.ring);
}

static void test_clear_forgets_doubt_and_skipping(void **state)
{
    (void)state;
    struct pipeline pipeline = {0};

    play(&pipeline, ">E >S <G <E");
    pipeline_clear(&pipeline);
    assert_true(pipeline_is_empty(&pipeline));
    play(&pipeline, ">Q <C <Z <Z#");
    pipeline_release(&pipeline);
}

static void test_head_is_the_oldest(void **state)
{
    (void)state;
    struct pipeline pipeline = {0};
    int subject = 0;

    assert_null(pipeline_head(&pipeline));
    pipeline_push(&pipeline, (struct pipeline_entry){.kind = PIPELINE_PARSE, .subject = &subject});
    pipeline_push(&pipeline, (struct pipeline_entry){.kind = PIPELINE_SYNC});
    assert_ptr_equal(pipeline_head(&pipeline)->subject, &subject);
    pipeline_reply(&pipeline, MESSAGE_PARSE_COMPLETE);
    assert_int_equal(pipeline_head(&pipeline)->kind, PIPELINE_SYNC);
    pipeline_release(&pipeline);
}

static void push(struct pipeline *pipeline, enum pipeline_kind kind, bool ours)
{
    pipeline_push(pipeline, (struct pipeline_entry){.kind = (uint8_t)kind, .ours = ours});
}

/* The server keeps a ParseComplete until the Sync: the head may be long behind it. */
static void test_server_may_be_behind_our_extended_messages(void **state)
{
    (void)state;
    struct pipeline pipeline = {0};

    assert_false(pipeline_may_be_at_clients(&pipeline));
    push(&pipeline, PIPELINE_QUERY, true);
    push(&pipeline, PIPELINE_CLOSE, true);
    push(&pipeline, PIPELINE_PARSE, true);
    assert_false(pipeline_may_be_at_clients(&pipeline));
    push(&pipeline, PIPELINE_EXECUTE, false);
    push(&pipeline, PIPELINE_SYNC, false);
    assert_false(pipeline_may_be_at_clients(&pipeline)); /* the Query is answered at once */
    pipeline_reply(&pipeline, MESSAGE_COMMAND_COMPLETE);
    pipeline_reply(&pipeline, MESSAGE_READY_FOR_QUERY);
    assert_true(pipeline_may_be_at_clients(&pipeline));
    pipeline_reply(&pipeline, MESSAGE_CLOSE_COMPLETE);
    pipeline_reply(&pipeline, MESSAGE_PARSE_COMPLETE);
    assert_true(pipeline_may_be_at_clients(&pipeline));
    pipeline_release(&pipeline);
}

static void test_server_at_the_end_of_ours_is_not_at_the_clients(void **state)
{
    (void)state;
    struct pipeline pipeline = {0};

    push(&pipeline, PIPELINE_PARSE, true);
    push(&pipeline, PIPELINE_SYNC, true);
    push(&pipeline, PIPELINE_QUERY, false);
    assert_false(pipeline_may_be_at_clients(&pipeline));
    pipeline_reply(&pipeline, MESSAGE_PARSE_COMPLETE);
    assert_false(pipeline_may_be_at_clients(&pipeline));
    pipeline_reply(&pipeline, MESSAGE_READY_FOR_QUERY);
    assert_true(pipeline_may_be_at_clients(&pipeline));
    pipeline_release(&pipeline);
}

static void count_done(const struct pipeline_entry *entry, enum pipeline_end end, void *context)
{
    uintptr_t *next = context;
    assert_int_equal(end, PIPELINE_COMPLETED);
    assert_int_equal((uintptr_t)entry->subject, (*next)++);
}

/* The ring grows while its content wraps around, up to the limit, and keeps the order. */
static void test_ring_grows_to_the_limit(void **state)
{
    (void)state;
    uintptr_t pushed = 0;
    uintptr_t done = 0;
    struct pipeline pipeline = {.done = count_done, .context = &done};

    for (unsigned round = 0; pipeline.count < PIPELINE_MAX; round++) {
        pipeline_push(&pipeline,
                      (struct pipeline_entry){.kind = PIPELINE_SYNC, .subject = (void *)pushed++});
        if (round % 7 == 0)
            assert_int_equal(pipeline_reply(&pipeline, 'Z'), PIPELINE_FORWARD);
    }
    assert_int_equal(pipeline.capacity, PIPELINE_MAX);
    assert_int_equal(pipeline.ready_owed, PIPELINE_MAX);
    while (pipeline.count > 0)
        assert_int_equal(pipeline_reply(&pipeline, 'Z'), PIPELINE_FORWARD);
    assert_int_equal(done, pushed);
    assert_true(pipeline_is_empty(&pipeline));
    pipeline_release(&pipeline);
}

#define NUMBER_OF(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_clear_drops_last_first),
        cmocka_unit_test(test_clear_forgets_doubt_and_skipping),
        cmocka_unit_test(test_head_is_the_oldest),
        cmocka_unit_test(test_server_may_be_behind_our_extended_messages),
        cmocka_unit_test(test_server_at_the_end_of_ours_is_not_at_the_clients),
        cmocka_unit_test(test_ring_grows_to_the_limit),
    };
    struct CMUnitTest exchanges[NUMBER_OF(scenarios)];

    for (size_t i = 0; i < NUMBER_OF(scenarios); i++)
        exchanges[i] = (struct CMUnitTest){.name = scenarios[i].name,
                                           .test_func = test_scenario,
                                           .initial_state = (void *)(uintptr_t)&scenarios[i]};
    int failed = cmocka_run_group_tests_name("pipeline exchanges", exchanges, NULL, NULL);
    return failed + cmocka_run_group_tests_name("pipeline", others, NULL, NULL);
}
