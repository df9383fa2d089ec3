//! A small world of cookie jars: a browser with tabs on a network that delays, reorders and loses answers, perhaps a thief with a copy of the jar, and one
//! session that answers them. It knows who is honest, and nothing about the rule by which the session decides.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Milliseconds of the world's own time.
pub type Moment = i64;
pub const SECOND: Moment = 1000;
pub const MINUTE: Moment = 60 * SECOND;
pub const HOUR: Moment = 60 * MINUTE;

/// A refresh token, as a number that only the session understands.
pub type Token = u32;

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub address: &'static str,
    pub agent: &'static str,
}

/// What the session says to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// 200 with this cookie.
    Cookie(Token),
    /// 401, and the session lives.
    Refused,
    /// 401, and the session is over.
    Over,
}

/// The session that is tried; `now` is the server's clock, which may jump.
pub trait Session {
    fn present(&mut self, token: Token, now: Moment, from: Place) -> Said;
}

/// Random numbers that repeat for a seed (splitmix64, Steele, Lea and Flood 2014).
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least `low`, less than `high`.
    pub fn between(&mut self, low: Moment, high: Moment) -> Moment {
        let span = u64::try_from((high - low).max(1)).expect("it is positive");
        low + Moment::try_from(self.next() % span).expect("it is below the span")
    }

    /// True `per_mille` times in a thousand.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.next() % 1000 < per_mille
    }

    /// The time of one leg of a network with this mean.
    fn leg(&mut self, latency: Latency) -> Moment {
        match latency {
            Latency::Even(mean) => self.between(0, 2 * mean),
            Latency::LongTail(mean) => {
                // Trailing zeros of random bits have a geometric distribution; integers repeat on every machine.
                let halvings = Moment::from((self.next() | 1 << 24).trailing_zeros());
                let step = mean * 7 / 10;
                halvings * step + self.between(0, step)
            }
        }
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.next() % all.len() as u64;
        all[usize::try_from(index).expect("it is an index")]
    }
}

/// How long one leg takes, there or back.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// Uniform between nothing and twice this mean.
    Even(Moment),
    /// About this mean, and now and then up to twenty times as much, so that answers overtake each other more often.
    LongTail(Moment),
}

/// How the holder of a jar behaves. Tabs share their browser's jar, so they show as requests that overlap.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// The longest time between two bursts; the shortest is a third of it.
    pub period: Moment,
    /// Requests of one burst, such as tabs that wake up together or a page that is reloaded again and again.
    pub burst: u32,
    /// The longest time between two requests of a burst.
    pub apart: Moment,
    pub latency: Latency,
    /// Answers that never arrive, in a thousand.
    pub lost: u64,
    /// Bursts before which the network changes, in a thousand.
    pub moves_network: u64,
}

/// A person or a thief with a cookie jar.
pub struct Holder {
    pub habits: Habits,
    pub place: Place,
    /// The addresses between which they move.
    pub addresses: &'static [&'static str],
    pub jar: Token,
    /// The number of bursts so far.
    pub bursts: u64,
    /// The number of refusals while the session lived on.
    pub refused: u64,
}

impl Holder {
    pub fn new(habits: Habits, place: Place, addresses: &'static [&'static str], jar: Token) -> Self {
        Self {
            habits,
            place,
            addresses,
            jar,
            bursts: 0,
            refused: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A burst begins.
    Burst,
    /// A request leaves with the cookie that is in the jar then.
    Leave { is_lost: bool },
    /// A request reaches the server.
    Reach { token: Token, is_lost: bool },
    /// An answer reaches the jar.
    Arrive { token: Token },
}

/// A request as it reaches the server.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    who: usize,
    pub token: Token,
    /// By the server's clock.
    pub at: Moment,
    pub from: Place,
    /// Its answer never arrives.
    is_lost: bool,
}

/// The world: holders, their requests under way, and the clock of the server.
pub struct World {
    pub now: Moment,
    /// How far the server's clock is ahead.
    pub clock_offset: Moment,
    pub dice: Dice,
    pub holders: Vec<Holder>,
    under_way: BinaryHeap<Reverse<(Moment, u64, usize, What)>>,
    number: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            now: 0,
            clock_offset: 0,
            dice: Dice::new(seed),
            holders: Vec::new(),
            under_way: BinaryHeap::new(),
            number: 0,
        }
    }

    /// Adds a holder, whose first burst comes within one period.
    pub fn join(&mut self, holder: Holder) {
        let first = self.dice.between(0, holder.habits.period);
        self.holders.push(holder);
        self.plan(first, self.holders.len() - 1, What::Burst);
    }

    fn plan(&mut self, after: Moment, who: usize, what: What) {
        self.number += 1;
        self.under_way
            .push(Reverse((self.now + after, self.number, who, what)));
    }

    /// Runs the world until a request reaches the server.
    pub fn next_request(&mut self) -> Request {
        loop {
            let Reverse((at, _, who, what)) = self.under_way.pop().expect("bursts follow each other");
            self.now = at;
            let latency = self.holders[who].habits.latency;
            match what {
                What::Burst => self.begin_burst(who),
                What::Leave { is_lost } => {
                    let token = self.holders[who].jar;
                    let after = self.dice.leg(latency);
                    self.plan(after, who, What::Reach { token, is_lost });
                }
                What::Reach { token, is_lost } => {
                    return Request {
                        who,
                        token,
                        at: self.now + self.clock_offset,
                        from: self.holders[who].place,
                        is_lost,
                    };
                }
                What::Arrive { token } => self.holders[who].jar = token,
            }
        }
    }

    /// Sends the answer to a request on its way.
    pub fn answer(&mut self, request: &Request, said: Said) {
        match said {
            Said::Cookie(token) if !request.is_lost => {
                let after = self.dice.leg(self.holders[request.who].habits.latency);
                self.plan(after, request.who, What::Arrive { token });
            }
            Said::Cookie(_) | Said::Over => {}
            Said::Refused => self.holders[request.who].refused += 1,
        }
    }

    /// One request and its answer.
    pub fn step(&mut self, session: &mut dyn Session) -> Said {
        let request = self.next_request();
        let said = session.present(request.token, request.at, request.from);
        self.answer(&request, said);
        said
    }

    fn begin_burst(&mut self, who: usize) {
        let Habits {
            period,
            burst,
            apart,
            lost,
            moves_network,
            ..
        } = self.holders[who].habits;
        if self.dice.happens(moves_network) {
            self.holders[who].place.address = self.dice.one_of(self.holders[who].addresses);
        }
        self.holders[who].bursts += 1;
        let mut at = 0;
        for _ in 0..burst {
            let is_lost = self.dice.happens(lost);
            self.plan(at, who, What::Leave { is_lost });
            if is_lost && self.dice.happens(500) {
                // The app gave up waiting and asks again; else it waits for its next period.
                let again = at + self.dice.between(SECOND, MINUTE);
                let is_lost = self.dice.happens(lost);
                self.plan(again, who, What::Leave { is_lost });
            }
            at += self.dice.between(0, apart.max(1));
        }
        let next = self.dice.between(period / 3, period);
        self.plan(next, who, What::Burst);
    }
}
