// Is the documentation of the metrics what the catalogue says now?
import Foundation
import Testing

@testable import Metrics

@Suite struct MarkdownTests {
  @Test func documentationIsMadeFromTheCatalogue() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/metrics.md")
    let committed = try String(contentsOf: file, encoding: .utf8)
    let made = try CatalogueTests.catalogue.get().markdown
    #expect(committed == made, "run: kiviat list metrics --format markdown > docs/metrics.md")
  }
}
