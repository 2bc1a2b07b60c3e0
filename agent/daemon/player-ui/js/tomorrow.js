/* What tomorrow needs and what is on its way. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var WHY = {
    ready: { kind: 'ready', icon: 'check' }, arriving: { kind: 'fetching', icon: 'arrive' }, missing: { kind: 'failed', icon: 'warn' },
    withdrawn: { kind: 'failed', icon: 'warn' }, not_planned: { kind: 'queued', icon: 'minus' }
  };

  function row(number, title, text, extra) {
    return h('div', { 'class': 'line' }, [
      h('span', { 'class': 'line-number', text: number }),
      h('span', { 'class': 'line-words' }, [h('strong', { text: title }), text ? h('small', { text: text }) : null, extra && extra.bar])
    ].concat(extra && extra.end ? [extra.end] : []));
  }

  function days(home) {
    var tomorrow = home.tomorrow || { items: [], date: null }, day = BBT.tomorrow();
    return h('section', {}, [
      h('h1', { text: day.title }),
      h('p', { text: tomorrow.date ? BBT.dateWords(tomorrow.date) : t('tomorrow.no_date') })
    ].concat(tomorrow.items.length ? tomorrow.items.map(function (item) {
      var look = WHY[item.why] || WHY.not_planned;
      return row(String(item.number), item.lesson ? BBT.titleOf(item.lesson) : item.subject, item.lesson ? item.subject : '', {
        end: h('span', { 'class': 'state state-' + look.kind }, [BBT.icon(look.icon), h('span', { text: t('tomorrow.why_' + item.why) })])
      });
    }) : [BBT.message({ icon: 'clock', title: t('tomorrow.none_title'), text: t('tomorrow.none_text') })]));
  }

  function coming(home) {
    var arriving = home.arriving || { total: 0, list: [] }, all = BBT.arriving();
    return h('section', {}, [
      h('h1', { text: t('arriving.title') }),
      h('p', { text: all ? all.words : t('arriving.none') })
    ].concat(arriving.list.map(function (one) {
      var whole = { done_bytes: one.done_bytes || 0, total_bytes: one.total_bytes || 0 };
      var sizes = whole.total_bytes ? t('lesson.arriving_bytes', { done: BBT.bytes(whole.done_bytes), total: BBT.bytes(whole.total_bytes) }) : '';
      return row('', BBT.titleOf(one.lesson), [one.lesson.subject, sizes, one.eta_s ? BBT.about(one.eta_s) : ''].filter(Boolean).join(' · '), {
        bar: BBT.progressBar(whole),
        end: h('span', { 'class': 'state state-fetching', text: one.lesson.state === 'queued' ? t('state.waiting') : BBT.data.percent(whole) + '%' })
      });
    }), all ? [] : [BBT.message({ icon: 'check', title: t('arriving.none_title') })]));
  }

  BBT.view('tomorrow', function () {
    var el = h('div', { 'class': 'view view-tomorrow split' }), drawn = '';
    function update() {
      var home = BBT.data.home, now = JSON.stringify([home && [home.tomorrow, home.arriving], BBT.language]), tops;
      if (now === drawn) { return; }
      drawn = now;
      tops = [].map.call(el.children, function (part) { return part.scrollTop; });
      BBT.empty(el);
      if (!home) { el.appendChild(BBT.message({ icon: 'book', title: t('shelf.loading') })); return; }
      [days(home), coming(home)].forEach(function (part, i) { el.appendChild(part); part.scrollTop = tops[i] || 0; });
    }
    update();
    return { el: el, update: update, dock: [BBT.backButton()] };
  });
}());
