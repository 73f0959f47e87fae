"""Turkish words for the concepts of `language.py`."""

from octoroute.routing.vocabulary.language import Language

TURKISH = Language(
    code="tr",
    free_order=True,
    common="""
        bir | ve | bu | şu | o | da | de | için | ile | mi | mı | mu | mü | ben | sen | biz | çok | daha
        | gibi | ne | olan | olduğunu | hakkında | benim | kadar | sonra | evet | et | en""",
    lead="lütfen | rica etsem | bana | ve | şimdi | yardım et",
    filler="""
        bugün | yarın | herkese | çok | arkadaşım | dostum | sana | size | iyi | da | de | bu akşam | için
        | yardımın""",
    greeting="""
        merhaba | selam | günaydın | iyi günler | iyi akşamlar | iyi geceler | hoşça kal | hoşçakal
        | güle güle | görüşürüz | teşekkürler | teşekkür ederim | çok teşekkürler | sağ ol | sağol
        | eyvallah | doğum günün kutlu olsun""",
    small_talk="""
        nasılsın | nasılsınız | ne haber | naber | nasıl gidiyor | ne yapıyorsun | iyi misin | hava nasıl
        | hava durumu nasıl | yağmur yağacak mı | bana bir fıkra anlat | fıkra anlat | bir fıkra anlat
        | şaka yap | canım sıkılıyor | sıkıldım | sen kimsin | adın ne | neler yapabilirsin | robot musun
        | memnun oldum | seni seviyorum | ne yapıyorsunuz | nasıl gidiyor bugün | keyifler nasıl
        | iyi uyudun mu | ne var ne yok | hafta sonun nasıldı | günün nasıldı | günün nasıl geçti
        | hafta sonu nasıldı | gün nasıl geçti""",
    make="""
        yaz | yazın | yazar mısın | yazabilir misin | oluştur | oluşturun | üret | yarat | uydur | anlat
        | anlatır mısın | yap | hazırla | ver | geliştir | düzelt | ekle | dönüştür | optimize et | tamamla
        | devam ettir | kodla | uygula | istiyorum""",
    creative="""
        şiir* | hikaye* | öykü* | masal* | roman | romanı | şarkı | şarkı sözü | haiku | sone | fabl
        | senaryo* | diyalog* | sahne* | konuşma metni | deneme yazısı | kompozisyon | blog yazısı | slogan*
        | tekerleme* | ninni* | monolog | efsane* | karakter*""",
    style="tarzında | bir varmış bir yokmuş | rol yapma | gibi davran",
    stage="film* | tiyatro* | oyuncu* | video*",
    programming="""
        kaynak kod* | düzenli ifade* | regex | birim test* | sözdizimi hata* | derleme hata* | programlama
        | yeniden yapılandır | hata ayıkla* | bellek sızıntı* | sql sorgu* | komut satır*""",
    script="betik | betiği | script",
    thing="""
        fonksiyon* | sınıf* | program | programı | kod | kodu | kodum* | algoritma* | sorgu* | test | testi
        | hata | hatayı | istisna* | uygulama* | api | modül* | kütüphane* | bileşen* | veritaban* | sunucu*
        | liste* | dizi* | değişken* | döngü* | metot* | web site* | dosya* | klasör* | json | csv""",
    plain="""
        e posta* | eposta* | mail | mektup | mektubu | ön yazı | mesaj* | cevap | özgeçmiş | davetiye*
        | tarif | paragraf* | dilbilgisi | yazım | plan | başlık""",
    other="çevir | çeviri* | tercüme* | yeniden ifade et | ayıkla | sınıflandır | nasıl denir | devam | tekrar",
    summarize="""
        özetle | özetler misin | özet | özeti* | özetini | ana noktalar* | ana fikir* | kısaca
        | önemli noktalar* | üç cümleyle | üç cümlede | bir cümleyle | ne hakkında""",
    analyze="""
        analiz et | analiz | karşılaştır | kıyasla | değerlendir | kanıtla | ispatla | türet | incele
        | tasarla | eleştir | tartış | adım adım düşün | strateji geliştir""",
    depth="""
        avantajlar* ve dezavantajlar* | artıları ve eksileri | güçlü ve zayıf yön* | kök neden*
        | temel neden* | derinlemesine | ödünleşim* | sonuçları | mimari* | fizibilite | etkilerini
        | sonuçlarını | artılarını ve eksilerini | uzun vadeli""",
    explain="""
        açıkla | açıklar mısın | tanımla | betimle | anlamı ne | hesapla | çöz | bul | belirle | say | söyle""",
    ask="""
        kim | kimin | ne | nedir | nelerdir | ne zaman | nerede | nereden | neresi | neresidir | neden
        | niçin | niye | hangi | nasıl | kaç | ne kadar""",
    yes_no="mi | mu | midir | var mi",
    elsewhere="""
        karaciğer* | böbrek* | kalp | beyin | öğrenci* | ada | adası | yılan* | böcek* | düğün* | toplum*
        | okul* | çocuklar | öğretmen*""",
    urgent="""
        bu acil | çok acil | bu çok önemli | çok önemli | bu kritik | üretim çöktü | canlı sistem çöktü
        | acele etme | çok dikkatli ol | titiz ol | hatasız""",
    urgent_cry="acil | önemli | kritik",
    relaxed="kısa bir soru | küçük bir soru | sadece merak | merak ettim | acelesi yok | acil değil",
)
