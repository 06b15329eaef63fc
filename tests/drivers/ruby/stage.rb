# frozen_string_literal: true

QUICK = ENV['QUICK'] == '1'
CLIENTS = Integer(ENV.fetch('CLIENTS', '8'))

# A row of the matrix: a driver in one way of use. `open` gives one connection of it.
class Row
  attr_reader :name, :version, :absent

  def initialize(name, version, absent: {}, &open)
    @name = name
    @version = version
    @absent = absent
    @open = open
  end

  def open = @open.call

  def slug = "ruby_#{name.downcase.gsub(/[^a-z0-9]+/, '_')}"
end

# What a case works with: the row's sessions, closed at its end, and table names of its own.
class Stage
  attr_reader :row

  def initialize(row)
    @row = row
    @open = Queue.new
  end

  def table(name) = "#{row.slug}_#{name}"

  # Makes a table anew and returns its name.
  def create(name, columns)
    session do |session|
      session.query("DROP TABLE IF EXISTS #{table(name)}")
      session.query("CREATE TABLE #{table(name)} (#{columns})")
    end
    table(name)
  end

  def session
    session = row.open
    @open << session
    yield session
  ensure
    session&.close
  end

  # Runs the block with a session in each of several threads; returns what each returned.
  def sessions(count = CLIENTS)
    threads = Array.new(count) do |n|
      Thread.new { session { |session| yield session, n } }.tap { |it| it.report_on_exception = false }
    end
    threads.each { |thread| thread.join rescue nil } # rubocop:disable Style/RescueModifier
    threads.map(&:value)
  end

  # What a case that took too long has left open may still belong to its thread.
  def finish
    @open.pop.close until @open.empty?
  rescue StandardError => e
    warn e.message
  end
end
