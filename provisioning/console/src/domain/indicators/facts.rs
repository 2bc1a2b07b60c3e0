//! What is known of a place in a stretch of time; made by [`crate::db::reports`], read by the indicators.

/// All of it, each list in the order of ids.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Schools and teaching points.
    pub schools: Vec<School>,
    /// Classrooms.
    pub classrooms: Vec<Classroom>,
    /// Devices that were in use at some time of it.
    pub devices: Vec<Device>,
    /// Pushes of that time, each at each school it reached.
    pub pushes: Vec<Push>,
    /// Orders that were opened in that time and not cancelled.
    pub orders: Vec<Order>,
    /// Repairs that accounts said in that time.
    pub repairs: Vec<Repair>,
    /// Boards in exams that ended in that time.
    pub exams: Vec<ExamBoard>,
    /// Equipment in use.
    pub assets: Vec<Asset>,
    /// What was typed in.
    pub manual: Vec<Manual>,
}

/// A school.
#[derive(Debug, Clone, Default)]
pub struct School {
    /// Row id.
    pub id: i64,
    /// Official code.
    pub code: String,
    /// Name.
    pub name: String,
    /// 教学点.
    pub teaching_point: bool,
    /// Name of its region.
    pub region: String,
    /// By the roster.
    pub contracted_down_mbps: Option<i64>,
    /// Verdict of the last decided bandwidth test of that time, in the words of its table.
    pub bandwidth: Option<String>,
}

/// A classroom.
#[derive(Debug, Clone, Default)]
pub struct Classroom {
    /// Row id.
    pub id: i64,
    /// Its school.
    pub school: i64,
    /// School and name.
    pub label: String,
    /// Active equipment, managed or not.
    pub assets: i64,
    /// Devices that stood there.
    pub devices: i64,
    /// Days of which any of them was heard.
    pub days_heard: i64,
    /// Days of use that were told.
    pub days_told: i64,
    /// How often something was opened.
    pub opens: i64,
    /// Of these, released lessons and no files of a teacher's own disk.
    pub lesson_opens: i64,
    /// Seconds on screen.
    pub seconds: i64,
    /// Periods with something opened.
    pub opened: i64,
    /// Periods that were told of, without.
    pub not_opened: i64,
    /// Periods nobody told of.
    pub periods_unknown: i64,
    /// Periods with a planned lesson, whether told of or not.
    pub planned: i64,
    /// Of these, those a board told of.
    pub planned_told: i64,
    /// Of these, those whose lesson was opened.
    pub planned_opened: i64,
}

/// A device in that time.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub school: i64,
    /// School, classroom and serial.
    pub label: String,
    /// Days of that time it was in use.
    pub days: i64,
    /// Days it was heard.
    pub days_heard: i64,
    /// School days it was not heard.
    pub days_silent: i64,
    /// School days.
    pub days_expected: i64,
    /// Class hours of the days it was heard, in seconds.
    pub expected_s: i64,
    /// Of these, on.
    pub online_s: i64,
    /// Days it told how long its screen was lit.
    pub screen_days: i64,
    /// Seconds its screen was lit.
    pub screen_on_s: i64,
    /// School days with an automatic inspection that came to a result.
    pub inspected: i64,
    /// School days whose inspection says unknown.
    pub inspected_unknown: i64,
    /// Each day, for the day sheet: seconds on, or why not.
    pub cells: Vec<Cell>,
}

/// One day of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cell {
    /// It was not in use.
    #[default]
    Absent,
    /// 未知: nothing was heard on a school day.
    Silent,
    /// No school, and nothing was heard.
    Free,
    /// Seconds on in class hours.
    On(i64),
}

/// A push at one school.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// Row id.
    pub id: i64,
    /// The school.
    pub school: i64,
    /// Devices it reaches there.
    pub devices: i64,
    /// Of these, with everything on the disk by the end.
    pub arrived: i64,
}

/// A work order, as it stood at the end of that time.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Row id.
    pub id: i64,
    /// The school.
    pub school: i64,
    /// What it is about.
    pub label: String,
    /// A rectification and no repair.
    pub rectification: bool,
    /// Seconds until it was taken on, if it was.
    pub response_s: Option<i64>,
    /// Seconds until it was mended, if it was.
    pub repair_s: Option<i64>,
    /// A teacher said it works.
    pub confirmed: bool,
    /// Closed.
    pub closed: bool,
}

/// A repair by somebody's word.
#[derive(Debug, Clone, Default)]
pub struct Repair {
    /// The school.
    pub school: i64,
    /// The account.
    pub by: String,
    /// Seconds until then.
    pub wall_s: i64,
    /// Within what is allowed.
    pub in_time: bool,
    /// What whoever uses it said of it by the end of that time: it works, or it does not.
    pub works: Option<bool>,
}

/// A board in an exam.
#[derive(Debug, Clone, Default)]
pub struct ExamBoard {
    /// The school.
    pub school: i64,
    /// Board and exam.
    pub key: String,
    /// School, classroom and exam.
    pub label: String,
    /// Whether it was silent but for the listening audio that was allowed; none: nobody knows.
    pub silent: Option<bool>,
    /// Why nobody knows, see the dictionary's reasons.
    pub why: &'static str,
}

/// A piece of equipment in use.
#[derive(Debug, Clone, Default)]
pub struct Asset {
    /// Row id.
    pub id: i64,
    /// The school.
    pub school: i64,
    /// What it is.
    pub label: String,
    /// Owner, builder and maintainer are all there.
    pub answered_for: bool,
}

/// What somebody typed in for a school.
#[derive(Debug, Clone, Default)]
pub struct Manual {
    /// The school.
    pub school: i64,
    /// Which indicator.
    pub indicator: String,
    /// Numerator.
    pub num: i64,
    /// Denominator.
    pub den: i64,
}
