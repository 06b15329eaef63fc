package pgsluice.drivers;
import java.util.*;
final class HibernateRows { static List<Row> all(Properties v) { return List.of(); } }
