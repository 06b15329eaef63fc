package pgsluice.drivers;

import jakarta.persistence.CascadeType;
import jakarta.persistence.Column;
import jakarta.persistence.Entity;
import jakarta.persistence.EnumType;
import jakarta.persistence.Enumerated;
import jakarta.persistence.FetchType;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.GenerationType;
import jakarta.persistence.Id;
import jakarta.persistence.Lob;
import jakarta.persistence.ManyToOne;
import jakarta.persistence.OneToMany;
import jakarta.persistence.OrderBy;
import jakarta.persistence.SequenceGenerator;
import jakarta.persistence.Table;
import jakarta.persistence.Version;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.hibernate.annotations.CreationTimestamp;
import org.hibernate.annotations.JdbcTypeCode;
import org.hibernate.annotations.UpdateTimestamp;
import org.hibernate.type.SqlTypes;

/** What the cases store: a shelf of books each client, and one entity with all kinds of columns. */
final class HibernateModel {
    static final List<Class<?>> ENTITIES =
            List.of(Author.class, Book.class, Everything.class, Large.class);

    private HibernateModel() {
    }

    enum Mood { SAD, OK, HAPPY }

    @Entity(name = "Author")
    @Table(name = "hibernate_author")
    static class Author {
        // Numbers are drawn from the sequence by fifty.
        @Id
        @GeneratedValue(strategy = GenerationType.SEQUENCE, generator = "authors")
        @SequenceGenerator(name = "authors", sequenceName = "hibernate_author_seq")
        Long id;
        @Version
        int version;
        int client;
        @Column(unique = true)
        String name;
        @OneToMany(mappedBy = "author", cascade = CascadeType.ALL, orphanRemoval = true)
        @OrderBy("number")
        List<Book> books = new ArrayList<>();

        protected Author() {
        }

        Author(int client, String name) {
            this.client = client;
            this.name = name;
        }

        Book write(int number) {
            Book book = new Book(this, number);
            books.add(book);
            return book;
        }
    }

    @Entity(name = "Book")
    @Table(name = "hibernate_book")
    static class Book {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;
        @ManyToOne(fetch = FetchType.LAZY)
        Author author;
        int number;
        String title;
        @CreationTimestamp
        OffsetDateTime created;
        @UpdateTimestamp
        OffsetDateTime updated;

        protected Book() {
        }

        Book(Author author, int number) {
            this.author = author;
            this.number = number;
            title = "Title " + number;
        }
    }

    @Entity(name = "Everything")
    @Table(name = "hibernate_everything")
    static class Everything {
        @Id
        UUID id;
        Short small;
        Integer plain;
        Long big;
        @Column(precision = 40, scale = 20)
        BigDecimal exact;
        Double real;
        Boolean yes;
        String empty;
        String text;
        byte[] bytes;
        LocalDate date;
        LocalDateTime time;
        OffsetDateTime moment;
        Duration span;
        Integer[] numbers;
        String[] texts;
        @Enumerated(EnumType.STRING)
        @JdbcTypeCode(SqlTypes.NAMED_ENUM)
        Mood mood;
        String nothing;
        OffsetDateTime never;
    }

    @Entity(name = "Large")
    @Table(name = "hibernate_large")
    static class Large {
        @Id
        int client;
        byte[] value;
        // A large object: the driver reads and writes it by calls of functions.
        @Lob
        byte[] object;
    }
}
