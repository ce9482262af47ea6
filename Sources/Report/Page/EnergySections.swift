// How does the report show where energy went in training?
import Analysis
import ProfileModel

extension ReportBuilder {
  /// Energy by phase and epoch; nothing where there was no meter, which “Not measured” says.
  var energyTable: ReportDocument.Block? {
    guard case .measured(let energy, _) = characterization.energy else { return nil }
    var rows: [[Table.Cell]] = [
      [Table.Cell("Whole run"), .measured(energy.runJoules, unit: "J"), .empty],
      [Table.Cell("Training steps"), .measured(energy.trainingJoules, unit: "J"), .empty],
    ]
    switch energy.phases {
    case .measured(let phases, let provenance):
      for phase in phases {
        var cell = Table.Cell.number(phase.joules, unit: "J")
        cell.provenance = provenance
        rows.append([Table.Cell("Phase: \(phase.phase.rawValue)"), cell, .share(phase.share, bar: false)])
      }
    case .unavailable(let why): rows.append([Table.Cell("Phases"), .missing(why), .empty])
    }
    for epoch in energy.epochs.prefix(200) {
      let stage = epoch.stage.isEmpty ? "" : "\(epoch.stage), "
      rows.append([Table.Cell("\(stage)epoch \(epoch.epoch + 1)"), .measured(epoch.joules, unit: "J"), .empty])
    }
    return .table(
      title: "Energy of the processor package in training",
      Table(
        columns: [.name("Part"), Table.Column("Energy"), Table.Column("Share", hint: "of the whole run's")], rows: rows,
        note: "\(energy.method)"), isFolded: true)
  }
}
