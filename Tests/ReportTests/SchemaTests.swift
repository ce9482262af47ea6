// Is the JSON what its documented schema says?
import Foundation
import Testing

@testable import Report

/// The part of JSON Schema that docs/report.schema.json uses.
struct Schema {
  let root: [String: Any]

  init() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/report.schema.json")
    root = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
  }

  /// What is wrong with a value; empty when nothing is.
  func problems(_ value: Any) -> [String] { problems(value, root, at: "") }

  private func problems(_ value: Any, _ schema: [String: Any], at path: String) -> [String] {
    var found: [String] = []
    if let reference = schema["$ref"] as? String {
      let name = String(reference.dropFirst("#/$defs/".count))
      guard let definition = (root["$defs"] as? [String: Any])?[name] as? [String: Any] else { return ["no \(name)"] }
      found += problems(value, definition, at: path)
    }
    for part in schema["allOf"] as? [[String: Any]] ?? [] { found += problems(value, part, at: path) }
    if let choices = schema["anyOf"] as? [[String: Any]] {
      let tries = choices.map { problems(value, $0, at: path) }
      if !tries.contains(where: \.isEmpty) { found += tries.min { $0.count < $1.count } ?? [] }
    }
    let types = (schema["type"] as? [String]) ?? (schema["type"] as? String).map { [$0] } ?? []
    if !types.isEmpty, !types.contains(where: { isType($0, value) }) { found.append("\(path): not \(types)") }
    if let allowed = schema["enum"] as? [String], !allowed.contains(value as? String ?? "") {
      found.append("\(path): \(value) is not one of \(allowed)")
    }
    if let constant = schema["const"], "\(constant)" != "\(value)" { found.append("\(path): not \(constant)") }
    if let object = value as? [String: Any] {
      for key in schema["required"] as? [String] ?? [] where object[key] == nil { found.append("\(path): no \(key)") }
      if let properties = schema["properties"] as? [String: [String: Any]] {
        for (key, member) in object {
          guard let own = properties[key] else {
            found.append("\(path): \(key) is not in the schema")
            continue
          }
          found += problems(member, own, at: "\(path).\(key)")
        }
      }
    }
    if let array = value as? [Any], let items = schema["items"] as? [String: Any] {
      for (index, element) in array.enumerated() { found += problems(element, items, at: "\(path)[\(index)]") }
    }
    return found
  }

  private func isType(_ type: String, _ value: Any) -> Bool {
    switch type {
    case "object": value is [String: Any]
    case "array": value is [Any]
    case "string": value is String
    case "boolean": value is Bool
    case "number": value is NSNumber
    case "integer": (value as? NSNumber).map { $0.doubleValue == $0.doubleValue.rounded() } ?? false
    default: false
    }
  }
}

struct SchemaTests {
  @Test(arguments: RenderingTests.names)
  func jsonFollowsItsSchema(name: String) throws {
    let characterization = try #require(RenderingTests.characterizations[name])
    let text = try Report.render(characterization, as: .json)
    let problems = try Schema().problems(JSONSerialization.jsonObject(with: Data(text.utf8)))
    #expect(problems.prefix(8).joined(separator: "; ") == "")
  }

  @Test func theSchemaRefusesWhatItShould() throws {
    let schema = try Schema()
    #expect(!schema.problems(["format": "kiviat-report", "version": 1]).isEmpty)
    #expect(!schema.problems(["format": "other", "version": 1, "reports": [Any]()]).isEmpty)
    #expect(schema.problems(["format": "kiviat-report", "version": 1, "reports": [Any]()]).isEmpty)
    #expect(!schema.problems(["format": "kiviat-report", "version": 1, "reports": [["identity": 3]]]).isEmpty)
  }
}
