# frozen_string_literal: true

require 'bigdecimal'
require 'ipaddr'
require 'pg'
require_relative 'stage'

Result = Struct.new(:rows, :count)

# ruby-pg with the types that it knows, statements one by one with parameters.
class PgSession
  def initialize
    @connection = PG.connect
    @connection.type_map_for_results = PG::BasicTypeMapForResults.new(@connection)
    @connection.type_map_for_results.default_type_map = PG::TypeMapAllStrings.new
    @connection.type_map_for_queries = PG::BasicTypeMapForQueries.new(@connection)
    @connection.set_notice_processor { |_| nil }
  end

  def query(text, values = nil)
    result_of(values ? @connection.exec_params(text, values) : @connection.exec(text))
  end

  def script(text) = @connection.exec(text)

  def settle(queries)
    queries.map do |text, values|
      query(text, values)
    rescue PG::Error => e
      e
    end
  end

  def transaction(isolation = nil)
    @connection.transaction do
      query("SET TRANSACTION ISOLATION LEVEL #{isolation}") if isolation
      yield
    end
  end

  def savepoint
    query('SAVEPOINT step')
    result = yield
    query('RELEASE SAVEPOINT step')
    result
  rescue StandardError
    query('ROLLBACK TO SAVEPOINT step')
    raise
  end

  def copy_in(text, lines)
    @connection.copy_data(text) { lines.each { |line| @connection.put_copy_data(line) } }
  end

  def copy_out(text)
    lines = []
    @connection.copy_data(text) do
      while (line = @connection.get_copy_data)
        lines << line
      end
    end
    lines
  end

  def cancelled(text, seconds)
    canceller = Thread.new do
      sleep seconds
      @connection.cancel
    end
    query(text)
  ensure
    canceller.join
  end

  def heard(channel, seconds)
    payload = nil
    @connection.wait_for_notify(seconds) { |name, _, text| payload = text if name == channel }
    payload
  end

  def describe(error)
    error.is_a?(PG::Error) ? "#{error.result&.error_field(PG::PG_DIAG_SQLSTATE)} #{primary(error)}" : error.message
  end

  def bytes(value) = PG::BasicTypeMapForQueries::BinaryData.new(value)
  def unescape(value) = value
  def texts = 300
  def repeats = 2 # of each text
  def items(table) = Items.new(self, table)
  def close = @connection.finished? || @connection.finish

  private

  def primary(error)
    error.result&.error_field(PG::PG_DIAG_MESSAGE_PRIMARY) || error.message.lines.first&.strip || 'skipped'
  end

  def result_of(result) = Result.new(result.to_a, result.cmd_tuples)
end

# The rows of the case crud in SQL.
class Items
  def initialize(session, table)
    @session = session
    @table = table
  end

  def insert(*values) = @session.query("INSERT INTO #{@table} VALUES ($1, $2, $3::numeric)", values).count

  def select(id)
    row = @session.query("SELECT id, name, price::text FROM #{@table} WHERE id = $1", [id]).rows[0]
    row&.values
  end

  def reprice(id, price)
    @session.query("UPDATE #{@table} SET price = $2::numeric WHERE id = $1", [id, price]).count
  end

  def delete(id) = @session.query("DELETE FROM #{@table} WHERE id = $1", [id]).count
end

# Every text with parameters is prepared once.
class PreparedSession < PgSession
  def query(text, values = nil)
    return super unless values

    @names ||= {}
    name = @names[text] ||= "s#{@names.size}".tap { |new| @connection.prepare(new, text) }
    result_of(@connection.exec_prepared(name, values))
  end
end

# Batches run in libpq's pipeline mode, with one Sync at their end.
class PipelineSession < PgSession
  def settle(queries)
    @connection.enter_pipeline_mode
    queries.each { |text, values| @connection.send_query_params(text, values) }
    @connection.pipeline_sync
    outcomes = queries.map { outcome }
    @connection.get_last_result # of the Sync
    outcomes
  ensure
    @connection.exit_pipeline_mode
  end

  private

  def outcome
    outcome = nil
    while (result = @connection.get_result)
      begin
        result.check
        outcome = result_of(result)
      rescue PG::Error => e
        outcome = e
      end
    end
    outcome
  end
end

def pg_rows
  [['pg (Ruby)', PgSession], ['pg (Ruby), prepared', PreparedSession],
   ['pg (Ruby), pipeline', PipelineSession]].map do |name, session|
    absent = session == PipelineSession ? {} : { 'batch' => 'one statement at a time' }
    Row.new(name, PG::VERSION, absent:) { session.new }
  end
end
