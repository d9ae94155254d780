//! The words of the generated mail: a property manager's day. No real person, company or place.

pub(super) const SENDERS: [(&str, &str); 12] = [
    ("Mara Quill", "mara.quill@north-quay.example"),
    ("Front Desk, Alder Court", "desk@alder-court.example"),
    ("Jonas Fennimore", "jonas@fennimore-plumbing.test"),
    ("Ines Calloway", "ines.calloway@tenant-mail.example"),
    ("Brightspan Lifts", "dispatch@brightspan-lifts.test"),
    ("Otto Varga", "otto.varga@example.com"),
    ("Hollis & Wren Accounts", "accounts@hollis-wren.example"),
    ("Petra Lindqvist", "petra@lindqvist-electric.test"),
    ("Building 7 Concierge", "concierge.b7@harbour-homes.example"),
    ("Sunniva Drake", "sunniva.drake@example.org"),
    ("Tobias Achterberg", "t.achterberg@example.net"),
    ("Roof Watch Sensors", "alerts@roofwatch.test"),
];

pub(super) const MATTERS: [(&str, &str); 16] = [
    (
        "Leak under the kitchen sink",
        "Water drips from the trap whenever the dishwasher empties. A bucket holds about half a day.",
    ),
    (
        "Lift stops between floors",
        "Lift B halts for some ten seconds between the second and third floor, then goes on.",
    ),
    (
        "Boiler pressure low again",
        "The gauge reads 0.6 bar this morning; it was refilled on Monday.",
    ),
    (
        "Quote for repainting the stairwell",
        "Four storeys, two coats, walls and handrails. Scaffolding is not needed.",
    ),
    (
        "Front door closer broken",
        "The door slams and woke the whole first floor twice last night.",
    ),
    (
        "Invoice for drain cleaning",
        "Please find the amount and the hours in the attached sheet. Payment within thirty days.",
    ),
    (
        "Window handle came off",
        "Bedroom, left window. It cannot be locked now and we are on the ground floor.",
    ),
    (
        "No hot water in unit 12",
        "Since yesterday evening. The neighbours on the same riser have it.",
    ),
    (
        "Smoke detector chirps",
        "Every forty seconds. The battery was changed in spring.",
    ),
    (
        "Parking gate stays open",
        "The gate does not react to the remote nor to the key switch.",
    ),
    (
        "Mould behind the wardrobe",
        "A patch of about thirty centimetres, dry to the touch. Photographs follow.",
    ),
    (
        "Annual extinguisher inspection",
        "Our technician can come on the 14th or the 21st between nine and noon.",
    ),
    (
        "Light in the bicycle cellar",
        "The motion sensor switches it off after five seconds, which is too soon.",
    ),
    (
        "Key handover for the new tenant",
        "Two sets plus the letter box. The caretaker signs for them.",
    ),
    (
        "Gutter blocked on the yard side",
        "Rain runs down the facade; the paint is coming off below the second gutter.",
    ),
    (
        "Noise from the ventilation",
        "A humming that starts at six and ends at ten in the evening.",
    ),
];

pub(super) const PRIORITIES: [&str; 4] = ["routine", "soon", "urgent", "emergency"];

pub(super) const BUILDINGS: [&str; 6] = [
    "Alder Court",
    "North Quay 3",
    "Mill Terrace",
    "Harbour House",
    "Lindenhof",
    "Cooper's Yard",
];
