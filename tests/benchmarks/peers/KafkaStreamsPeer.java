import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The peer of the stream benchmark in Kafka Streams: what ten_checks.py does, exactly once, with RocksDB.
 *
 * Avro is read and written by hand, and the order's own bytes are copied into the state: faster than the Avro library.
 * Before it is compiled, java_skipping.py replaces each line of the form "//@ skip RECORD FIELD..FIELD" by the reading
 * of what lies between the two in the committed schema.
 */
public final class KafkaStreamsPeer {
    private static final int HEADER_LENGTH = 5;
    private static final String STORE = "orders";
    private static final Set<String> CURRENCIES = Set.of(
            "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "INR", "JPY", "KRW", "MXN",
            "NOK", "NZD", "PLN", "SEK", "SGD", "USD", "ZAR");
    private static final Set<String> STATUSES = Set.of("placed", "confirmed", "completed", "cancelled");
    /** Quantities and prices have 6 digits, amounts 4. */
    private static final long LINE_DIVISOR = 100_000_000L;

    record Customer(byte[] name, byte[] segment, boolean isBlocked) {}

    record Product(byte[] name, byte[] standardCost, boolean isDiscontinued) {}

    /** Arguments: servers, application id, state directory, threads, input topic, output topic. */
    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        Map<String, Customer> customers = new HashMap<>();
        Map<String, Product> products = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> found : table(servers, "master.customers")) {
            customers.put(text(found.key()), customer(new Reader(found.value(), HEADER_LENGTH)));
        }
        for (ConsumerRecord<byte[], byte[]> found : table(servers, "master.products")) {
            products.put(text(found.key()), product(new Reader(found.value(), HEADER_LENGTH)));
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray()));
        builder.stream(arguments[4], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .process(() -> new Orders(customers, products), STORE)
                .to(arguments[5], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), configuration(arguments));
        streams.setUncaughtExceptionHandler(problem -> {
            problem.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    private static Properties configuration(String[] arguments) {
        Properties values = new Properties();
        values.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        values.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        values.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        values.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[3]);
        values.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        values.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        values.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        values.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 20);
        values.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        values.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        return values;
    }

    /** A compacted master topic of one partition, whole. */
    private static List<ConsumerRecord<byte[], byte[]>> table(String servers, String topic) {
        Properties values = new Properties();
        values.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        List<ConsumerRecord<byte[], byte[]>> found = new java.util.ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(values, bytes, bytes)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(200)).records(partition).forEach(found::add);
            }
        }
        return found;
    }

    /** One thread's work on the orders of its partitions. */
    private static final class Orders implements Processor<byte[], byte[], byte[], byte[]> {
        private final Map<String, Customer> customers;
        private final Map<String, Product> products;
        private final Writer writer = new Writer();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<byte[], byte[]> store;

        Orders(Map<String, Customer> customers, Map<String, Product> products) {
            this.customers = customers;
            this.products = products;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            this.store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            byte[] before = store.get(record.key());
            byte[] made = nextState(record.key(), record.value(), before);
            if (made != null) {
                store.put(record.key(), made);
                context.forward(record.withValue(made));
            }
        }

        /** The order's next state, or null where a check refuses it. */
        private byte[] nextState(byte[] key, byte[] message, byte[] before) {
            Reader in = new Reader(message, HEADER_LENGTH);
            byte[] eventId = in.bytes();
            //@ skip OrderCaptured event_id..order_id
            byte[] orderId = in.bytes();
            //@ skip OrderCaptured order_id..committed_at
            long committedAt = in.integer();
            //@ skip OrderCaptured committed_at..order
            if (in.integer() == 0 || !Arrays.equals(key, orderId)) {
                return null;
            }
            int begin = in.position;
            //@ skip SalesOrder ..order_status
            String status = in.text();
            //@ skip SalesOrder order_status..document_currency_code
            String currency = in.text();
            //@ skip SalesOrder document_currency_code..buyer_customer_party_id
            Customer customer = customers.get(in.text());
            //@ skip SalesOrder buyer_customer_party_id..line_extension_amount
            long net = in.decimal();
            //@ skip SalesOrder line_extension_amount..charge_total_amount
            long charges = in.decimal();
            //@ skip SalesOrder charge_total_amount..tax_exclusive_amount
            long exclusive = in.decimal();
            //@ skip SalesOrder tax_exclusive_amount..tax_amount
            long tax = in.decimal();
            //@ skip SalesOrder tax_amount..payable_amount
            long payable = in.decimal();
            //@ skip SalesOrder payable_amount..order_lines
            if (customer == null || customer.isBlocked() || !CURRENCIES.contains(currency)
                    || !STATUSES.contains(status)) {
                return null;
            }
            int lines = (int) in.integer();
            if (lines <= 0) {
                return null;
            }
            long netOfLines = 0;
            long taxOfLines = 0;
            Product[] ordered = new Product[lines];
            for (int line = 0; line < lines; line++) {
                //@ skip OrderLine ..product_id
                Product product = products.get(in.text());
                //@ skip OrderLine product_id..quantity
                long quantity = in.decimal();
                //@ skip OrderLine quantity..price_amount
                long price = in.decimal();
                //@ skip OrderLine price_amount..allowance_total_amount
                long allowance = in.decimal();
                //@ skip OrderLine allowance_total_amount..line_extension_amount
                long extension = in.decimal();
                //@ skip OrderLine line_extension_amount..tax_amount
                taxOfLines += in.decimal();
                //@ skip OrderLine tax_amount..
                netOfLines += extension;
                if (product == null || product.isDiscontinued() || quantity <= 0 || price < 0
                        || !isNear(quantity, price, extension + allowance)) {
                    return null;
                }
                ordered[line] = product;
            }
            if (netOfLines != net || taxOfLines != tax || exclusive != net + charges || exclusive + tax != payable) {
                return null;
            }
            long version = before == null ? 1 : versionOf(before) + 1;
            writer.reset();
            writer.bytes(orderId);
            writer.integer(version);
            writer.text(status);
            writer.integer(committedAt);
            writer.bytes(eventId);
            writer.bytes(customer.name());
            writer.optionalBytes(customer.segment());
            writer.integer(lines);
            for (Product product : ordered) {
                writer.bytes(product.name());
            }
            writer.integer(0);
            writer.integer(lines);
            for (Product product : ordered) {
                writer.bytes(product.standardCost());
            }
            writer.integer(0);
            writer.raw(message, begin, message.length - begin);
            return writer.toBytes();
        }

        private static boolean isNear(long quantity, long price, long amount) {
            long difference = Math.multiplyHigh(quantity, price) == 0
                    ? quantity * price - amount * LINE_DIVISOR
                    : Long.MAX_VALUE;
            return Math.abs(difference) <= 50 * LINE_DIVISOR;
        }

        private static long versionOf(byte[] state) {
            Reader in = new Reader(state, 0);
            in.skipText();
            return in.integer();
        }
    }

    private static Customer customer(Reader in) {
        //@ skip Customer ..name
        byte[] name = in.bytes();
        //@ skip Customer name..segment
        byte[] segment = in.integer() == 0 ? null : in.bytes();
        //@ skip Customer segment..is_blocked
        return new Customer(name, segment, in.truth());
    }

    private static Product product(Reader in) {
        //@ skip Product ..name
        byte[] name = in.bytes();
        //@ skip Product name..standard_cost_amount
        byte[] cost = in.integer() == 0 ? new byte[1] : in.bytes();
        //@ skip Product standard_cost_amount..is_discontinued
        return new Product(name, cost, in.truth());
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** Avro's binary form, field by field. */
    private static final class Reader {
        private final byte[] data;
        private int position;

        Reader(byte[] data, int position) {
            this.data = data;
            this.position = position;
        }

        long integer() {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte next = data[position++];
                value |= (long) (next & 0x7f) << shift;
                if (next >= 0) {
                    return (value >>> 1) ^ -(value & 1);
                }
            }
        }

        boolean truth() {
            return data[position++] != 0;
        }

        byte[] bytes() {
            int length = (int) integer();
            position += length;
            return Arrays.copyOfRange(data, position - length, position);
        }

        String text() {
            int length = (int) integer();
            position += length;
            return new String(data, position - length, length, StandardCharsets.UTF_8);
        }

        /** The scaled integer of a decimal. */
        long decimal() {
            int length = (int) integer();
            long value = data[position];
            for (int end = position + length; ++position < end; ) {
                value = value << 8 | data[position] & 0xff;
            }
            return value;
        }

        void skipText() {
            int length = (int) integer();
            position += length;
        }
    }

    /** The other direction, into one buffer that is used again and again. */
    private static final class Writer {
        private byte[] data = new byte[4096];
        private int length;

        void reset() {
            length = 0;
        }

        void integer(long number) {
            room(10);
            long value = number << 1 ^ number >> 63;
            while ((value & ~0x7fL) != 0) {
                data[length++] = (byte) (value & 0x7f | 0x80);
                value >>>= 7;
            }
            data[length++] = (byte) value;
        }

        void text(String value) {
            bytes(value.getBytes(StandardCharsets.UTF_8));
        }

        void bytes(byte[] value) {
            integer(value.length);
            raw(value, 0, value.length);
        }

        void optionalBytes(byte[] value) {
            integer(value == null ? 0 : 1);
            if (value != null) {
                bytes(value);
            }
        }

        void raw(byte[] value, int from, int count) {
            room(count);
            System.arraycopy(value, from, data, length, count);
            length += count;
        }

        byte[] toBytes() {
            return Arrays.copyOf(data, length);
        }

        private void room(int count) {
            if (length + count > data.length) {
                data = Arrays.copyOf(data, 2 * (length + count));
            }
        }
    }
}
