// How long does a map take? Reads members × features as 64-bit floating-point numbers (little-endian, row after row), maps
// them, and writes the points the same way; compare.py compares them with those of scikit-learn and openTSNE.
//
//     swift run -c release MapSpeed DATA ROWS COLUMNS POINTS [PERPLEXITY [THREADS [REPEATS [RESTARTS]]]]
//
// Prints one line of JSON: seconds of each repetition, and what the map says of itself.
import Analysis
import Foundation

struct Outcome: Codable {
  var seconds: [Double]
  var perplexity: Double
  var iterations: Int
  var restarts: Int
  var klDivergence: Double
  var klDivergences: [Double]
  var trustworthiness: Double?
  var stability: Double?
}

let arguments = CommandLine.arguments
guard arguments.count >= 5, let rows = Int(arguments[2]), let columns = Int(arguments[3]), rows > 0, columns > 0 else {
  FileHandle.standardError.write(
    Data("usage: MapSpeed DATA ROWS COLUMNS POINTS [PERPLEXITY [THREADS [REPEATS [RESTARTS]]]]\n".utf8))
  exit(2)
}
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[1]))
guard bytes.count == rows * columns * 8 else {
  FileHandle.standardError.write(Data("\(arguments[1]): \(bytes.count) bytes for \(rows) × \(columns)\n".utf8))
  exit(2)
}
let values = bytes.withUnsafeBytes { raw in
  (0..<(rows * columns)).map {
    Double(bitPattern: UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)))
  }
}
let data = Matrix(rows: rows, columns: columns, values: values)
var options = SimilarityMap.Options()
func argument<Value: LosslessStringConvertible>(_ place: Int) -> Value? {
  arguments.count > place ? Value(arguments[place]) : nil
}
options.perplexity = argument(5) ?? options.perplexity
options.threads = argument(6) ?? options.threads
options.restarts = argument(8)
var seconds: [Double] = []
var map = try SimilarityMap(Matrix(rows: 0, columns: columns))
for _ in 0..<(argument(7) ?? 1) {
  let start = ContinuousClock.now
  map = try SimilarityMap(data, options)
  let elapsed = (ContinuousClock.now - start).components
  seconds.append(Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
}
var points = Data()
for value in map.points.values {
  withUnsafeBytes(of: value.bitPattern.littleEndian) { points.append(contentsOf: $0) }
}
try points.write(to: URL(fileURLWithPath: arguments[4]))
let outcome = Outcome(
  seconds: seconds, perplexity: map.perplexity, iterations: map.iterations, restarts: map.restarts,
  klDivergence: map.klDivergence, klDivergences: map.klDivergences, trustworthiness: map.trustworthiness,
  stability: map.stability)
print(String(decoding: try JSONEncoder().encode(outcome), as: UTF8.self))
