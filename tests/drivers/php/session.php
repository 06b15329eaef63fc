<?php

declare(strict_types=1);

/** A row of the matrix: a driver in one way of use. */
final class Row
{
    /** @param array<string, string> $absent cases that the driver has nothing for, and what is missing */
    public function __construct(
        public readonly string $name,
        public readonly string $version,
        private readonly Closure $open,
        public readonly array $absent = [],
    ) {
    }

    public function open(): Session
    {
        return ($this->open)();
    }

    public function table(string $name): string
    {
        return strtolower(preg_replace('/[^A-Za-z0-9]+/', '_', $this->name)) . "_$name";
    }
}

/** An error as its user sees it. */
final class Refused extends RuntimeException
{
    public function __construct(public readonly string $state, string $message)
    {
        parent::__construct(trim("$state $message"));
    }
}

/** What a query gave: rows by column name, values as the driver gives them; and how many it changed. */
final class Result
{
    /** @param list<array<string, mixed>> $rows */
    public function __construct(public readonly array $rows, public readonly int $count)
    {
    }
}

/** One connection of a driver. Parameters are written $1, $2, ..., each used once, in this order. */
abstract class Session
{
    abstract public function query(string $text, ?array $values = null): Result;

    /** Several statements in one message. */
    abstract public function script(string $text): void;

    /** @param list<string> $lines */
    abstract public function copyIn(string $table, array $lines): void;

    /** @return list<string> */
    abstract public function copyOut(string $table): array;

    /** Runs a statement and cancels it after so many seconds. */
    abstract public function cancelled(string $text, float $seconds): void;

    /** The next notification's payload. */
    abstract public function heard(float $seconds): ?string;

    /** A parameter of type bytea. */
    abstract public function bytes(string $value): mixed;

    abstract public function bytesOf(mixed $value): string;

    abstract public function transaction(Closure $work, string $isolation = 'read committed'): mixed;

    public function savepoint(Closure $work): mixed
    {
        $this->query('SAVEPOINT step');
        try {
            $result = $work();
        } catch (Throwable $error) {
            $this->query('ROLLBACK TO SAVEPOINT step');
            throw $error;
        }
        $this->query('RELEASE SAVEPOINT step');
        return $result;
    }
}
