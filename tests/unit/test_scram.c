/*
 * test_scram.c: SCRAM-SHA-256, keys and both sides of the exchange (pg/scram). The vectors are RFC
 * 7677's and verifiers that PostgreSQL 15 stored.
 */
#include "pg/scram.h"

#include "pg_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7677, section 3: user "user", password "pencil". */
#define RFC_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define RFC_NONCE RFC_CLIENT_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CLIENT_FIRST_BARE "n=user,r=" RFC_CLIENT_NONCE
#define RFC_SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_SERVER_FIRST "r=" RFC_NONCE ",s=" RFC_SALT ",i=4096"
#define RFC_CLIENT_FINAL "c=biws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const uint8_t rfc_salt[16] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                     0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};

/* pg_authid.rolpassword after CREATE ROLE … PASSWORD 'pencil' and 'sésame, ouvre-toi' (UTF-8). */
#define PENCIL                                                                                     \
    "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$Yj6b/3bBUJcN/iO1eKzyX7aUkgFc9vOI4NM9IjuzaI0="     \
    ":58tF4Q+e1DDyWSwKr2ZsfSO5GTriAnw8J4vryjK3OBA="
#define SESAME                                                                                     \
    "SCRAM-SHA-256$4096:70rYEyMb9c3R03U+nH8MDg==$ZEmMDkbWWFmSLikImQPW5T78NoPeMDznJR9dTB8Km0g="     \
    ":P9sk+8INzD+qct1ST0WcAXLg+Yv/XQrege4zFA2vuM0="

static const uint8_t client_random[SCRAM_NONCE_BYTES] = "client's randomnes";
static const uint8_t server_random[SCRAM_NONCE_BYTES] = "server's randomnes";

static void assert_makes(const char *verifier_text, const char *password)
{
    struct scram_verifier stored, made;

    assert_true(scram_verifier_parse(verifier_text, &stored));
    assert_int_equal(stored.iterations, 4096);
    assert_int_equal(stored.salt_length, 16);
    assert_true(
        scram_verifier_make(password, stored.salt, stored.salt_length, stored.iterations, &made));
    assert_memory_equal(made.stored_key, stored.stored_key, SCRAM_KEY_SIZE);
    assert_memory_equal(made.server_key, stored.server_key, SCRAM_KEY_SIZE);
    assert_int_equal(made.iterations, 4096);
    assert_int_equal(made.salt_length, 16);
    assert_memory_equal(made.salt, stored.salt, 16);
}

static void verifiers_are_postgresqls(void **state)
{
    (void)state;
    assert_makes(PENCIL, "pencil");
    assert_makes(SESAME, "s\xc3\xa9same, ouvre-toi");
}

static void malformed_verifiers_are_refused(void **state)
{
#define KEY "Yj6b/3bBUJcN/iO1eKzyX7aUkgFc9vOI4NM9IjuzaI0="
    static const char *const wrong[] = {
        "",
        "pencil",
        "md5bd9b2f028f0da30651d603cf780feee9",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-1$4096:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$0:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$-1:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$+1:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$4096x:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$2147483648:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$99999999999:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw=$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+O =w==$" KEY ":" KEY,
        "SCRAM-SHA-256$4096: o39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:====$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:A===$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:AA=A$" KEY ":" KEY,
        /* a salt of 66 bytes */
        "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$" KEY ":" KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$" KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":",
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$:" KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":" KEY KEY,
        "SCRAM-SHA-256$4096:xo39T+mpVtpPOXpDr+OaDw==$" KEY ":AAAA",
    };
#undef KEY
    static const uint8_t zeroes[SCRAM_KEY_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct scram_verifier verifier;
        assert_false(scram_verifier_parse(wrong[i], &verifier));
        assert_memory_equal(verifier.stored_key, zeroes, sizeof zeroes);
        assert_memory_equal(verifier.server_key, zeroes, sizeof zeroes);
        assert_int_equal(verifier.salt_length, 0);
    }
}

static void impossible_derivations_fail(void **state)
{
    struct scram_keys keys;
    struct scram_verifier verifier;
    static const uint8_t long_salt[SCRAM_MAX_SALT + 1];

    (void)state;
    assert_false(scram_derive_keys("pencil", rfc_salt, sizeof rfc_salt, 0, &keys));
    assert_false(scram_verifier_make("pencil", rfc_salt, 0, 4096, &verifier));
    assert_false(scram_verifier_make("pencil", long_salt, sizeof long_salt, 1, &verifier));
    assert_true(scram_verifier_make("", long_salt, SCRAM_MAX_SALT, 1, &verifier));
}

/* A client that has sent the RFC's first message, with the RFC's nonce for random bytes. */
static struct scram_client rfc_client(void)
{
    struct scram_client client = {.first_bare = strdup(RFC_CLIENT_FIRST_BARE)};

    strcpy(client.nonce, RFC_CLIENT_NONCE);
    return client;
}

static void client_follows_the_rfc(void **state)
{
    struct scram_client client = rfc_client();
    struct scram_keys keys;
    const char *problem = "unset";

    (void)state;
    assert_true(
        scram_client_take_first(&client, RFC_SERVER_FIRST, LENGTH(RFC_SERVER_FIRST), &problem));
    assert_null(problem);
    assert_int_equal(client.iterations, 4096);
    assert_int_equal(client.salt_length, sizeof rfc_salt);
    assert_memory_equal(client.salt, rfc_salt, sizeof rfc_salt);
    assert_true(
        scram_derive_keys("pencil", client.salt, client.salt_length, client.iterations, &keys));
    char *message = scram_client_final(&client, &keys);
    assert_string_equal(message, RFC_CLIENT_FINAL);
    free(message);
    assert_true(
        scram_client_take_final(&client, RFC_SERVER_FINAL, LENGTH(RFC_SERVER_FINAL), &problem));
    scram_client_clear(&client);
}

static void server_follows_the_rfc(void **state)
{
    struct scram_server server = {.client_first_bare = strdup(RFC_CLIENT_FIRST_BARE),
                                  .server_first = strdup(RFC_SERVER_FIRST),
                                  .nonce = strdup(RFC_NONCE),
                                  .channel_binding = "n,,"};
    struct scram_verifier verifier;
    const char *problem = "unset";

    (void)state;
    assert_true(scram_verifier_make("pencil", rfc_salt, sizeof rfc_salt, 4096, &verifier));
    char *message = scram_server_final(&server, RFC_CLIENT_FINAL, LENGTH(RFC_CLIENT_FINAL),
                                       &verifier, &problem);
    assert_non_null(message);
    assert_string_equal(message, RFC_SERVER_FINAL);
    assert_null(problem);
    free(message);
    scram_server_clear(&server);
}

static void client_first_has_an_empty_user_and_the_random_bytes(void **state)
{
    struct scram_client client = {0};
    char *message = scram_client_first(&client, client_random);

    (void)state;
    assert_string_equal(message, "n,,n=,r=Y2xpZW50J3MgcmFuZG9tbmVz");
    free(message);
    scram_client_clear(&client);
}

/* Both sides in turn; true where both are content. */
static bool exchange(const char *verifier_text, const char *password)
{
    struct scram_client client = {0};
    struct scram_server server = {0};
    struct scram_verifier verifier;
    struct scram_keys keys;
    const char *problem = "unset";

    assert_true(scram_verifier_parse(verifier_text, &verifier));
    char *first = scram_client_first(&client, client_random);
    char *challenge =
        scram_server_first(&server, first, strlen(first), &verifier, server_random, &problem);
    assert_non_null(challenge);
    assert_null(problem);
    assert_true(scram_client_take_first(&client, challenge, strlen(challenge), &problem));
    assert_true(
        scram_derive_keys(password, client.salt, client.salt_length, client.iterations, &keys));
    char *final = scram_client_final(&client, &keys);
    char *answer = scram_server_final(&server, final, strlen(final), &verifier, &problem);
    assert_null(problem); /* right or wrong, it was well-formed */
    bool right = answer != NULL;
    if (right)
        assert_true(scram_client_take_final(&client, answer, strlen(answer), &problem));
    free(first);
    free(challenge);
    free(final);
    free(answer);
    scram_client_clear(&client);
    scram_server_clear(&server);
    return right;
}

static void right_password_satisfies_both_sides(void **state)
{
    (void)state;
    assert_true(exchange(PENCIL, "pencil"));
    assert_true(exchange(SESAME, "s\xc3\xa9same, ouvre-toi"));
}

static void wrong_password_is_not_malformed(void **state)
{
    (void)state;
    assert_false(exchange(PENCIL, "Pencil"));
    assert_false(exchange(PENCIL, ""));
    assert_false(exchange(SESAME, "pencil"));
}

static void client_refuses_server_first(const char *message)
{
    struct scram_client client = rfc_client();
    const char *problem = NULL;

    if (scram_client_take_first(&client, message, strlen(message), &problem))
        fail_msg("taken: %s", message);
    assert_non_null(problem);
    assert_null(client.server_first);
    scram_client_clear(&client);
}

static void client_checks_server_first(void **state)
{
    (void)state;
    client_refuses_server_first("");
    client_refuses_server_first("r=" RFC_NONCE);
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT);
    client_refuses_server_first("r=" RFC_NONCE ",i=4096,s=" RFC_SALT); /* order */
    client_refuses_server_first("m=x,r=" RFC_NONCE ",s=" RFC_SALT ",i=4096");
    client_refuses_server_first(RFC_SERVER_FIRST ",x=y");
    client_refuses_server_first("r=" RFC_CLIENT_NONCE ",s=" RFC_SALT ",i=4096"); /* adds nothing */
    client_refuses_server_first("r=X" RFC_NONCE ",s=" RFC_SALT ",i=4096");       /* not our nonce */
    client_refuses_server_first("r=rOpr,s=" RFC_SALT ",i=4096");
    client_refuses_server_first("r=" RFC_NONCE "\x01,s=" RFC_SALT ",i=4096");
    client_refuses_server_first("r=" RFC_NONCE " ,s=" RFC_SALT ",i=4096");
    client_refuses_server_first("r=" RFC_NONCE ",s=,i=4096");
    client_refuses_server_first("r=" RFC_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096");
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT ",i=");
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT ",i=0");
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT ",i=4096 ");
}

static void client_bounds_the_iterations(void **state)
{
    struct scram_client client = rfc_client();
    const char *problem = NULL;
    char message[256];

    (void)state;
    snprintf(message, sizeof message, "r=%s,s=" RFC_SALT ",i=%d", RFC_NONCE, SCRAM_MAX_ITERATIONS);
    assert_true(scram_client_take_first(&client, message, strlen(message), &problem));
    scram_client_clear(&client);
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT ",i=100001");
    client_refuses_server_first("r=" RFC_NONCE ",s=" RFC_SALT ",i=2147483647");
}

static void client_checks_server_final(void **state)
{
    static const char *const wrong[] = {
        "",
        "v=",
        "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", /* another signature */
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y",
        "v=AAAA",
        "e=invalid-proof",
    };
    struct scram_client client = rfc_client();
    struct scram_keys keys;
    const char *problem = NULL;

    (void)state;
    assert_true(
        scram_client_take_first(&client, RFC_SERVER_FIRST, LENGTH(RFC_SERVER_FIRST), &problem));
    /* Too early: nothing was proved to the server yet. Not even a signature of zeroes. */
    const char zeroes[] = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_false(scram_client_take_final(&client, zeroes, LENGTH(zeroes), &problem));
    assert_non_null(problem);

    assert_true(
        scram_derive_keys("pencil", client.salt, client.salt_length, client.iterations, &keys));
    free(scram_client_final(&client, &keys));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        problem = NULL;
        assert_false(scram_client_take_final(&client, wrong[i], strlen(wrong[i]), &problem));
        assert_non_null(problem);
    }
    scram_client_clear(&client);
}

/* What the server says to this client-first, or NULL; frees nothing but on NULL. */
static char *server_answers(struct scram_server *server, const char *first, size_t length)
{
    struct scram_verifier verifier;
    const char *problem = "unset";

    assert_true(scram_verifier_parse(PENCIL, &verifier));
    char *answer = scram_server_first(server, first, length, &verifier, server_random, &problem);
    if (answer == NULL) {
        assert_non_null(problem);
        assert_string_not_equal(problem, "unset");
    } else {
        assert_null(problem);
    }
    return answer;
}

static void assert_server_takes_first(const char *first, const char *expected)
{
    struct scram_server server = {0};
    char *answer = server_answers(&server, first, strlen(first));

    assert_non_null(answer);
    assert_string_equal(answer, expected);
    free(answer);
    scram_server_clear(&server);
}

static void server_takes_what_postgresql_takes(void **state)
{
    const char *expected = "r=abcc2VydmVyJ3MgcmFuZG9tbmVz,s=xo39T+mpVtpPOXpDr+OaDw==,i=4096";

    (void)state;
    assert_server_takes_first("n,,n=,r=abc", expected);
    assert_server_takes_first("y,,n=,r=abc", expected);
    assert_server_takes_first("n,,n=somebody,r=abc", expected);
    assert_server_takes_first("n,,n=,r=abc,x=y,z=", expected); /* optional extensions */
}

static void server_refuses_other_first_messages(void **state)
{
    static const char *const wrong[] = {
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=",
        "n,,r=abc",
        "n,,n=,r=",
        "n,,r=abc,n=",
        "x,,n=,r=abc",
        ",,n=,r=abc",
        "nn,,n=,r=abc",
        "n,n=,r=abc",
        "n,a=admin,n=,r=abc",
        "p=tls-server-end-point,,n=,r=abc",
        "n,,m=ext,n=,r=abc",
        "n,,n=,r=a b",
        "n,,n=,r=a\x7f",
        "n,,n=,r=\xc3\xa9",
        "n,,n=,r=abc,x",
        "n,,n=,r=abc,1=y",
        "n=,r=abc",
    };
    struct scram_server server = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(server_answers(&server, wrong[i], strlen(wrong[i])));
    assert_null(server_answers(&server, "n,,n=,r=abc\0x", 13)); /* a zero byte inside */
    assert_null(server_answers(&server, "n,,n=,r=abc\0", 12));  /* and at the end */
    scram_server_clear(&server);
}

/* Some clients send 127 characters; PostgreSQL bounds the message alone. */
static void client_nonce_may_be_long(void **state)
{
    struct scram_server server = {0};
    char first[1000] = "n,,n=,r=";

    (void)state;
    memset(first + 8, 'x', sizeof first - 9);
    char *answer = server_answers(&server, first, strlen(first));
    assert_non_null(answer);
    assert_memory_equal(answer + 2, first + 8, sizeof first - 9);
    assert_memory_not_equal(answer + 2 + sizeof first - 9, ",", 1); /* ours follows */
    free(answer);
    scram_server_clear(&server);
}

/* After "<header>n=,r=abc": whether this client-final is refused as malformed. */
static bool is_malformed_final(const char *first, const char *final, size_t length)
{
    struct scram_server server = {0};
    struct scram_verifier verifier;
    const char *problem = "unset";

    assert_true(scram_verifier_parse(PENCIL, &verifier));
    char *challenge = server_answers(&server, first, strlen(first));
    assert_non_null(challenge);
    free(challenge);
    assert_null(scram_server_final(&server, final, length, &verifier, &problem));
    scram_server_clear(&server);
    return problem != NULL;
}

#define NONCE "abcc2VydmVyJ3MgcmFuZG9tbmVz"
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void server_checks_client_final(void **state)
{
    static const char *const wrong[] = {
        "",
        "c=biws",
        "c=biws,r=" NONCE,
        "c=biws,r=" NONCE ",",
        "c=biws,r=" NONCE ",x=y",
        "r=" NONCE ",c=biws,p=" PROOF,
        "c=eSws,r=" NONCE ",p=" PROOF, /* "y,,", after "n,," */
        "c=,r=" NONCE ",p=" PROOF,
        "c=biws,r=abc,p=" PROOF,
        "c=biws,r=" NONCE "x,p=" PROOF,
        "c=biws,r=" NONCE ",p=",
        "c=biws,r=" NONCE ",p=AAAA",
        "c=biws,r=" NONCE ",p=" PROOF "AAAA",
        "c=biws,r=" NONCE ",p=" PROOF ",x=y",
        "c=biws,r=" NONCE ",xy,p=" PROOF,
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (!is_malformed_final("n,,n=,r=abc", wrong[i], strlen(wrong[i])))
            fail_msg("taken: %s", wrong[i]);
    }
    assert_true(is_malformed_final("n,,n=,r=abc", "c=biws,r=" NONCE ",p=" PROOF "\0",
                                   strlen("c=biws,r=" NONCE ",p=" PROOF) + 1));

    /* Well-formed, and wrong as a proof only. */
    const char *good = "c=biws,r=" NONCE ",p=" PROOF;
    assert_false(is_malformed_final("n,,n=,r=abc", good, strlen(good)));
    good = "c=biws,r=" NONCE ",x=y,p=" PROOF;
    assert_false(is_malformed_final("n,,n=,r=abc", good, strlen(good)));
    good = "c=eSws,r=" NONCE ",p=" PROOF;
    assert_false(is_malformed_final("y,,n=,r=abc", good, strlen(good)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifiers_are_postgresqls),
        cmocka_unit_test(malformed_verifiers_are_refused),
        cmocka_unit_test(impossible_derivations_fail),
        cmocka_unit_test(client_follows_the_rfc),
        cmocka_unit_test(server_follows_the_rfc),
        cmocka_unit_test(client_first_has_an_empty_user_and_the_random_bytes),
        cmocka_unit_test(right_password_satisfies_both_sides),
        cmocka_unit_test(wrong_password_is_not_malformed),
        cmocka_unit_test(client_checks_server_first),
        cmocka_unit_test(client_bounds_the_iterations),
        cmocka_unit_test(client_checks_server_final),
        cmocka_unit_test(server_takes_what_postgresql_takes),
        cmocka_unit_test(server_refuses_other_first_messages),
        cmocka_unit_test(client_nonce_may_be_long),
        cmocka_unit_test(server_checks_client_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
